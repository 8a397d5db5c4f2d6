package ask

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Declaration is what a CREATE EXTERNAL TABLE statement declares.
type Declaration struct {
	Columns []string // names, in lower case
}

func isDeclaration(tokens []token) bool {
	return len(tokens) > 2 && tokens[0].is("CREATE") && tokens[1].is("EXTERNAL") && tokens[2].is("TABLE")
}

// parseDeclaration reads the name of the table and the names of its columns. Types,
// formats and locations are not looked at, because nothing is made of them.
func parseDeclaration(tokens []token) (*Declaration, error) {
	rest := tokens[3:]
	for _, name := range []string{"IF", "NOT", "EXISTS"} {
		if len(rest) > 0 && rest[0].is(name) {
			rest = rest[1:]
		}
	}
	open := slices.IndexFunc(rest, func(t token) bool { return t.isSymbol("(") })
	if open < 1 || rest[open-1].kind > quoted {
		return nil, errors.New("CREATE EXTERNAL TABLE must have a name and columns")
	}
	if !strings.EqualFold(rest[open-1].value, TableName) {
		return nil, fmt.Errorf("gateway ask makes no tables; the training data is the table %s, which exists already", TableName)
	}
	d := &Declaration{}
	depth, begins := 1, true
	for _, t := range rest[open+1:] {
		switch {
		case t.isSymbol("(") || t.isSymbol("<"):
			depth++
		case t.isSymbol(")") || t.isSymbol(">"):
			depth--
		case begins && t.kind <= quoted:
			d.Columns, begins = append(d.Columns, strings.ToLower(t.value)), false
		case depth == 1 && t.isSymbol(","):
			begins = true
		}
		if depth == 0 {
			return d, nil
		}
	}
	return nil, errors.New("the parentheses of the SQL do not match")
}

// Answer says, in one line, that the table exists already, which columns it has, and how
// it differs from the declaration.
func (d *Declaration) Answer(t *Table) string {
	missing, more := difference(d.Columns, t.lowerNames()), difference(t.lowerNames(), d.Columns)
	var b strings.Builder
	fmt.Fprintf(&b, "nothing was made: the table %s exists already, over the newest training data, and has %d columns (%s)", TableName, len(t.Columns), list(t.names()))
	if len(missing) > 0 {
		fmt.Fprintf(&b, "; of the statement's columns it lacks %s", list(missing))
	}
	if len(more) > 0 {
		fmt.Fprintf(&b, "; the statement lacks %s", list(more))
	}
	switch {
	case len(missing)+len(more) > 0:
	case slices.Equal(d.Columns, t.lowerNames()):
		b.WriteString("; they are the statement's")
	default:
		b.WriteString("; they are the statement's in another order")
	}
	b.WriteString("; formats and LOCATION of the statement are not used")
	return b.String()
}

// difference returns what is in a and not in b.
func difference(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// list joins names, the first of them if there are many.
func list(names []string) string {
	const most = 30
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
