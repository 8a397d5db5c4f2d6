package draft

import (
	"slices"
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
	indianGroups                      // 1,23,456.78
	decimalComma                      // 1234,56
	pointGroups                       // 1.234,56
	blankGroups                       // 1 234,56
	blankPoint                        // 1 234.56
	quoteGroups                       // 1'234.56
	numberFormats                     // their number
)

// marks are the marks for thousands and decimals, by format.
var marks = [numberFormats]struct{ group, decimal byte }{
	plain: {0, '.'}, commaGroups: {',', '.'}, indianGroups: {',', '.'}, decimalComma: {0, ','}, pointGroups: {'.', ','},
	blankGroups: {' ', ','}, blankPoint: {' ', '.'}, quoteGroups: {'\'', '.'},
}

// example returns how the format writes a number, in the form of a schema's format.
func (f numberFormat) example(prefix, suffix string, fraction bool) string {
	m := marks[f]
	text := "1234"
	switch {
	case f == indianGroups:
		text = "1,23,456"
	case m.group != 0:
		text = "1" + string(m.group) + "234"
	}
	if fraction {
		text += string(m.decimal) + "56"
	}
	return prefix + text + suffix
}

// currencies are the letters that may stand before a number.
var currencies = words("eur usd gbp chf jpy cny rub inr sek nok dkk pln czk huf try brl aud cad nzd zar mxn us$ r$ a$ c$ rs rs. fr fr. kr kr. zł kč ft")

// written is a number as a cell has it.
type written struct {
	prefix, suffix string // currency before the number; currency, percent sign or unit after it
	digits         string // with a minus before them if the number is negative
	sign           bool   // the sign is one that only a schema's format reads: parentheses, a minus behind the number, U+2212
}

// cutNumber splits a number into unit, digits and unit. A unit after it is a sign or
// a word, such as %, € or kg.
func cutNumber(text string) written {
	var w written
	negative := false
	cut := func(rest string, found, special bool) {
		if found && !negative {
			text, negative, w.sign = strings.TrimSpace(rest), true, w.sign || special
		}
	}
	prefix := func(sign string, special bool) {
		rest, found := strings.CutPrefix(text, sign)
		cut(rest, found, special)
	}
	suffix := func(sign string) {
		rest, found := strings.CutSuffix(text, sign)
		cut(rest, found, true)
	}
	if inner, ok := strings.CutPrefix(text, "("); ok {
		rest, found := strings.CutSuffix(inner, ")")
		cut(rest, found, true)
	}
	prefix("-", false)
	prefix("−", true)
	suffix("-")
	suffix("−")
	w.prefix, text = cutCurrency(text)
	w.suffix, text = cutUnit(text)
	prefix("-", w.prefix != "")
	prefix("−", true)
	suffix("-")
	suffix("−")
	if negative {
		text = "-" + text
	}
	w.digits = text
	return w
}

// cutCurrency cuts a currency from the beginning of a text: a sign, or a usual
// abbreviation.
func cutCurrency(text string) (currency, rest string) {
	first := strings.IndexAny(text, "0123456789-−")
	if first <= 0 {
		return "", text
	}
	head := strings.TrimRight(text[:first], " \u00a0\u202f")
	if r, size := utf8.DecodeRuneInString(head); unicode.Is(unicode.Sc, r) && size == len(head) || slices.Contains(currencies, strings.ToLower(head)) {
		return head, text[first:]
	}
	return "", text
}

// cutUnit cuts a percent sign, a currency or a word from the end of a text that has
// digits before it.
func cutUnit(text string) (unit, rest string) {
	last := strings.LastIndexAny(text, "0123456789-−")
	if last < 0 {
		return "", text
	}
	_, size := utf8.DecodeRuneInString(text[last:])
	tail := text[last+size:]
	unit = strings.TrimLeft(tail, " \u00a0\u202f")
	if !isUnit(unit) {
		return "", text
	}
	return tail, text[:last+size]
}

// isUnit reports whether a text is a percent sign, a currency sign, or letters with the
// signs of units such as km/h, m² and °C.
func isUnit(text string) bool {
	if text == "" {
		return false
	}
	if r, size := utf8.DecodeRuneInString(text); size == len(text) && (r == '%' || unicode.Is(unicode.Sc, r)) {
		return true
	}
	return strings.ContainsFunc(text, unicode.IsLetter) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !strings.ContainsRune("°/²³", r) })
}

// read returns the number in a format. Digits with a leading zero before a unit,
// such as 007A, are a code.
func (w *written) read(f numberFormat) (x float64, integer, ok bool) {
	digits := w.digits
	if code := strings.TrimPrefix(digits, "-"); w.prefix+w.suffix != "" && len(code) > 1 && code[0] == '0' && code[1] >= '0' && code[1] <= '9' {
		return 0, false, false
	}
	if f != plain {
		if digits, ok = normalise(digits, f); !ok {
			return 0, false, false
		}
	}
	return schema.ParseNumber(digits)
}

// readNumber reads a number in a format, with a currency, a percent sign or a unit.
func readNumber(text string, f numberFormat) (x float64, integer, ok bool) {
	w := cutNumber(text)
	return w.read(f)
}

// normalise rewrites a number of a format with a point for decimals and no mark
// for thousands. Thousands must be in groups of three, or Indian groups.
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
		if !areGroups(groups, f == indianGroups) {
			return "", false
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

// areGroups reports whether digits are grouped by thousands; indian: three digits at
// the end, two in the groups before them.
func areGroups(groups []string, indian bool) bool {
	size := 3
	if indian {
		size = 2
	}
	end := len(groups) - 1
	for i, g := range groups {
		switch {
		case i == 0 && (len(g) == 0 || len(g) > size || g[0] == '0'):
			return false
		case i == end && len(g) != 3, i > 0 && i < end && len(g) != size:
			return false
		}
	}
	return true
}
