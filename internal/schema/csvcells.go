package schema

import (
	"regexp"
	"strings"
)

// sheetNumber matches text that a spreadsheet reads as a number, with any decimal
// and thousands separator.
var sheetNumber = regexp.MustCompile(`^[+-]?[0-9][0-9.,]*([eE][+-]?[0-9]+)?%?$|^[+-]?\.[0-9]+$`)

var lineBreaks = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ")

// SafeCells returns the cells of a row in a form that a spreadsheet opens safely:
// a text that begins like a formula gets an apostrophe before it, as OWASP
// advises against CSV injection, and line breaks become blanks.
func SafeCells(cells []string) []string {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		if cell != "" && strings.IndexByte("=+-@\t\r", cell[0]) >= 0 && !sheetNumber.MatchString(cell) {
			cell = "'" + cell
		}
		safe[i] = lineBreaks.Replace(cell)
	}
	return safe
}
