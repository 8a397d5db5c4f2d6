package exportsql

import (
	"fmt"
	"strings"
)

// layers is a query in steps, each of which names values of the one before.
type layers struct {
	text    strings.Builder
	last    string
	columns []string // of the layer that is being written
}

// begin begins with a table, its columns and a condition.
func (l *layers) begin(name, columns, from string) {
	fmt.Fprintf(&l.text, "WITH %s AS (\nSELECT %s FROM %s\n)", name, columns, from)
	l.last = name
}

// add adds a column to the layer that is being written.
func (l *layers) add(name, format string, args ...any) {
	l.columns = append(l.columns, fmt.Sprintf(format, args...)+" AS "+name)
}

// end ends a layer: the columns of the one before, unless keep is false, and the new ones.
func (l *layers) end(name string, keep bool) {
	if keep {
		l.columns = append([]string{"*"}, l.columns...)
	}
	fmt.Fprintf(&l.text, ",\n%s AS (\nSELECT %s FROM %s\n)", name, strings.Join(l.columns, ",\n"), l.last)
	l.last, l.columns = name, nil
}
