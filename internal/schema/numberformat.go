package schema

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// numberFormat is the way in which the numbers of a column are written, as the
// feature's format: shows by an example such as "1.234,56 €".
type numberFormat struct {
	prefix, suffix string // currency or unit; optional in a cell
	thousands      rune   // '.', ',', ' ' or '\''; 0: none. See separator
	indian         bool   // thousands have a group of three digits at the end and groups of two before it
	decimal        byte   // '.' or ','
}

// separator returns the separator that a rune stands for: the point, the comma, a
// blank of any kind as ' ', an apostrophe of any kind as an apostrophe; 0 if it is none.
func separator(r rune) rune {
	switch r {
	case '.', ',', ' ', '\'':
		return r
	case '\u00a0', '\u2007', '\u2009', '\u202f': // blanks that do not break a line
		return ' '
	case '’':
		return '\''
	}
	return 0
}

// parseNumberFormat reads the example of a format. fault says why it is none.
func parseNumberFormat(example string, integer bool) (n *numberFormat, fault string) {
	text := strings.TrimSpace(example)
	isDigit := func(r rune) bool { return r >= '0' && r <= '9' }
	first, last := strings.IndexFunc(text, isDigit), strings.LastIndexFunc(text, isDigit)
	if first < 0 {
		return nil, "has no digit"
	}
	n = &numberFormat{}
	before, after := strings.TrimSpace(text[:first]), strings.TrimSpace(text[last+1:])
	if strings.Contains(before, "(") && strings.Contains(after, ")") {
		before, after = strings.Replace(before, "(", "", 1), strings.Replace(after, ")", "", 1)
	}
	n.prefix, n.suffix = strings.TrimSpace(strings.Trim(before, "-+−")), strings.TrimSpace(strings.Trim(after, "-−"))
	if !isUnit(n.prefix) || !isUnit(n.suffix) {
		return nil, "may have only letters, a currency sign, % or the signs ° / ² ³ of units around the number"
	}
	return n, n.separators(text[first:last+1], integer)
}

// isUnit reports whether a text may stand before or after a number.
func isUnit(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.Is(unicode.Sc, r) && !strings.ContainsRune("%°/²³", r) && (r != '.' || text[0] == '.')
	})
}

// separators finds the separators in the digits of an example.
func (n *numberFormat) separators(digits string, integer bool) (fault string) {
	var groups []string
	var found []rune
	start := 0
	for i, r := range digits {
		if r >= '0' && r <= '9' {
			continue
		}
		s := separator(r)
		if s == 0 {
			return "may have only digits and the separators . , ' and blank within the number"
		}
		groups, found = append(groups, digits[start:i]), append(found, s)
		start = i + utf8.RuneLen(r)
	}
	groups = append(groups, digits[start:])
	if len(found) == 1 && (found[0] == '.' || found[0] == ',') && !integer && groups[0] != "0" && areThousands(groups) {
		return "does not show whether " + string(found[0]) + " separates thousands or decimals; show both, as in 1,234.56 or 1.234,56"
	}
	if end := len(found) - 1; end >= 0 && isDecimalMark(found, groups, integer) {
		n.decimal = byte(found[end])
		found, groups = found[:end], groups[:end+1]
	}
	for _, s := range found {
		if n.thousands != 0 && s != n.thousands || s == rune(n.decimal) {
			return "has more separators than one of thousands and a decimal mark"
		}
		n.thousands = s
	}
	n.indian = areIndian(groups) && !areThousands(groups)
	if n.thousands != 0 && !areThousands(groups) && !n.indian {
		return "must have groups of three digits between separators of thousands, or Indian groups as in 1,23,456"
	}
	switch {
	case n.decimal != 0:
	case n.thousands == '.':
		n.decimal = ','
	default:
		n.decimal = '.'
	}
	return ""
}

// isDecimalMark reports whether the last of the separators is the decimal mark: a
// point or comma that has another separator before it, or that alone does not make
// groups of thousands.
func isDecimalMark(found []rune, groups []string, integer bool) bool {
	last := found[len(found)-1]
	if last != '.' && last != ',' {
		return false
	}
	if len(found) > 1 {
		return found[len(found)-2] != last
	}
	return !areThousands(groups) || !integer && groups[0] == "0"
}

// areThousands reports whether digits are grouped by thousands.
func areThousands(groups []string) bool {
	if len(groups[0]) < 1 || len(groups[0]) > 3 {
		return false
	}
	for _, g := range groups[1:] {
		if len(g) != 3 || !allDigits(g) {
			return false
		}
	}
	return allDigits(groups[0])
}

// areIndian reports whether digits are grouped as in India: three at the end, two in
// the groups before them, one or two in the first.
func areIndian(groups []string) bool {
	end := len(groups) - 1
	if end < 1 || len(groups[end]) != 3 || len(groups[0]) < 1 || len(groups[0]) > 2 {
		return false
	}
	for i, g := range groups {
		if !allDigits(g) || i > 0 && i < end && len(g) != 2 {
			return false
		}
	}
	return true
}

// read returns the decimal number that a cell has, in the form that parseNumber
// reads. A percent is the number before the sign.
func (n *numberFormat) read(text string) (number string, ok bool) {
	c := cell{text: strings.TrimSpace(text), format: n}
	c.cutSign()
	if c.cutLastSign() {
		c.cutUnits()
	} else {
		c.cutUnits()
		c.cutLastSign()
	}
	c.cutSign()
	if inner, found := strings.CutPrefix(c.text, "("); found && !c.signed {
		if c.text, found = strings.CutSuffix(inner, ")"); !found {
			return "", false
		}
		c.text, c.signed, c.negative = strings.TrimSpace(c.text), true, true
		c.cutUnits()
	}
	mantissa, exponent := c.text, ""
	if i := strings.IndexAny(mantissa, "eE"); i >= 0 {
		mantissa, exponent = mantissa[:i], mantissa[i:]
	}
	whole, fraction, _ := strings.Cut(mantissa, string(rune(n.decimal)))
	if whole, ok = n.join(whole); !ok || !allDigits(fraction) {
		return "", false
	}
	if fraction != "" {
		whole += "." + fraction
	}
	if c.negative {
		whole = "-" + whole
	}
	return whole + exponent, isDecimal(whole + exponent)
}

// join returns digits without their separators of thousands.
func (n *numberFormat) join(digits string) (joined string, ok bool) {
	if allDigits(digits) {
		return digits, true
	}
	groups := strings.FieldsFunc(digits, func(r rune) bool { return n.thousands != 0 && separator(r) == n.thousands })
	joined = strings.Join(groups, "")
	separators := utf8.RuneCountInString(digits) - len(joined)
	grouped := areThousands(groups)
	if n.indian {
		grouped = areIndian(groups)
	}
	return joined, separators == len(groups)-1 && grouped
}

// write returns a decimal number in the format, without units and separators of
// thousands.
func (n *numberFormat) write(number string) string {
	return strings.Replace(number, ".", string(rune(n.decimal)), 1)
}

// cell is a text from which sign and units are cut.
type cell struct {
	text             string
	format           *numberFormat
	signed, negative bool
}

func (c *cell) cutSign() {
	for _, sign := range []string{"-", "−", "+"} {
		if rest, found := strings.CutPrefix(c.text, sign); found && !c.signed {
			c.text, c.signed, c.negative = strings.TrimSpace(rest), true, sign != "+"
		}
	}
}

// cutLastSign cuts a minus behind the number, as SAP writes it.
func (c *cell) cutLastSign() (found bool) {
	for _, sign := range []string{"-", "−"} {
		if rest, found := strings.CutSuffix(c.text, sign); found && !c.signed {
			c.text, c.signed, c.negative = strings.TrimSpace(rest), true, true
			return true
		}
	}
	return false
}

func (c *cell) cutUnits() {
	c.text = strings.TrimSpace(strings.TrimPrefix(c.text, c.format.prefix))
	c.text = strings.TrimSpace(strings.TrimSuffix(c.text, c.format.suffix))
}
