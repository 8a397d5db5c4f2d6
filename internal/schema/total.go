package schema

import (
	"slices"
	"strings"
)

// totalWords begin the row of a total below a table.
var totalWords = []string{"total", "totals", "grand total", "sum", "summe", "gesamt", "gesamtsumme", "insgesamt", "somme", "totale", "suma", "итого", "всего"}

// IsTotal reports whether a row of a table looks like a total or a subtotal: its first
// cell with a value says so, and another cell is empty. It returns the column of the
// first cell.
func IsTotal(cells []string) (column int, ok bool) {
	column, values := -1, 0
	for i, cell := range cells {
		if strings.TrimSpace(cell) == "" {
			continue
		}
		if values++; values == 1 {
			column = i
		}
	}
	if len(cells) < 3 || values == len(cells) || values == 0 {
		return 0, false
	}
	first := strings.ToLower(strings.TrimRight(strings.TrimSpace(cells[column]), ": "))
	return column, slices.Contains(totalWords, first)
}

// isTotal reports whether a row of a file of customers is a total. It is none if its
// first value is one of a category: infer has found many rows with it.
func (t *csvTable) isTotal(cells []string) bool {
	i, ok := IsTotal(cells)
	if !ok || t.columns[i] < 0 {
		return ok
	}
	f := &t.schema.Features[t.columns[i]]
	return f.Type != Category || !slices.Contains(f.Values, strings.TrimSpace(cells[i]))
}
