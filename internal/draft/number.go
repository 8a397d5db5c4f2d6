package draft

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"gateway/internal/schema"
)

// numberFormat is a way to write numbers: the marks for thousands and decimals.
type numberFormat int

// The number formats, in the order in which they are preferred.
const (
	plain         numberFormat = iota // 1234.56
	commaGroups                       // 1,234.56
	decimalComma                      // 1234,56
	pointGroups                       // 1.234,56
	blankGroups                       // 1 234,56
	blankPoint                        // 1 234.56
	quoteGroups                       // 1'234.56
	numberFormats                     // their number
)

// marks are the marks for thousands and decimals, by format.
var marks = [numberFormats]struct{ group, decimal byte }{
	plain: {0, '.'}, commaGroups: {',', '.'}, decimalComma: {0, ','}, pointGroups: {'.', ','},
	blankGroups: {' ', ','}, blankPoint: {' ', '.'}, quoteGroups: {'\'', '.'},
}

// example returns how the format writes a number, in the form of a schema's format.
func (f numberFormat) example(prefix, suffix string, fraction bool) string {
	m := marks[f]
	text := "1234"
	if m.group != 0 {
		text = "1" + string(m.group) + "234"
	}
	if fraction {
		text += string(m.decimal) + "56"
	}
	return prefix + text + suffix
}

// affixes splits a number into a currency sign before it, its digits, and a
// percent or currency sign after it. A minus before the sign, and parentheses
// around a negative amount, stay with the digits as a minus.
func affixes(text string) (prefix, digits, suffix string) {
	negative := false
	if inner, ok := strings.CutPrefix(text, "("); ok && strings.HasSuffix(inner, ")") {
		text, negative = strings.TrimSuffix(inner, ")"), true
	}
	if rest, ok := strings.CutPrefix(text, "-"); ok && !negative {
		if r, _ := utf8.DecodeRuneInString(rest); unicode.Is(unicode.Sc, r) {
			text, negative = rest, true
		}
	}
	if r, size := utf8.DecodeRuneInString(text); unicode.Is(unicode.Sc, r) {
		prefix, text = text[:size], strings.TrimLeft(text[size:], " \u00a0")
	}
	if r, size := utf8.DecodeLastRuneInString(text); r == '%' || unicode.Is(unicode.Sc, r) {
		body := strings.TrimRight(text[:len(text)-size], " \u00a0")
		suffix, text = text[len(body):], body
	}
	if negative {
		text = "-" + text
	}
	return prefix, text, suffix
}

// readNumber reads a number in a format, with a currency or percent sign.
func readNumber(text string, f numberFormat) (x float64, integer, ok bool) {
	_, digits, _ := affixes(text)
	if f != plain {
		if digits, ok = normalise(digits, f); !ok {
			return 0, false, false
		}
	}
	return schema.ParseNumber(digits)
}

// normalise rewrites a number of a format with a point for decimals and no mark
// for thousands. Thousands must be in groups of three.
func normalise(text string, f numberFormat) (string, bool) {
	m := marks[f]
	sign := ""
	if text != "" && (text[0] == '-' || text[0] == '+') {
		sign, text = text[:1], text[1:]
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\u00a0", " "), "\u202f", " ")
	text = strings.ReplaceAll(text, "’", "'")
	whole, fraction, hasFraction := strings.Cut(text, string(m.decimal))
	if m.group != 0 && strings.IndexByte(whole, m.group) >= 0 {
		groups := strings.Split(whole, string(m.group))
		for i, g := range groups {
			if len(g) > 3 || len(g) == 0 || (i > 0 && len(g) != 3) || (i == 0 && g[0] == '0') {
				return "", false
			}
		}
		whole = strings.Join(groups, "")
	}
	if strings.Trim(whole, "0123456789") != "" || strings.Trim(fraction, "0123456789") != "" || (hasFraction && fraction == "") {
		return "", false
	}
	if !hasFraction {
		return sign + whole, whole != ""
	}
	return sign + whole + "." + fraction, true
}
