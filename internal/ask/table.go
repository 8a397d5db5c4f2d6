package ask

import (
	"bytes"
	"fmt"
	"strings"

	"gateway/internal/schema"
)

// TableName is the name of the table of training data.
const TableName = "datasource"

// Table is the training data as people read it. Its columns are the features of the
// schema that are not excluded, in the order of the schema, and then the label.
type Table struct {
	Columns []Column
	schema  *schema.Schema
}

// Column is a column of the table.
type Column struct {
	Name string
	Type string // integer, number, text or date

	feature *schema.Feature // nil: the label
	at      int             // the first of the feature's columns in a row of training CSV, which begins with the label
}

// NewTable returns the table of a schema.
func NewTable(s *schema.Schema) *Table {
	t := &Table{schema: s}
	at := 1
	for i := range s.Features {
		f := &s.Features[i]
		if f.Exclude {
			continue
		}
		kind := string(f.Type)
		if f.Type == schema.Category {
			kind = "text"
		}
		t.Columns = append(t.Columns, Column{Name: f.Name, Type: kind, feature: f, at: at})
		at += f.Width()
	}
	t.Columns = append(t.Columns, Column{Name: s.Label.Name, Type: "integer"})
	return t
}

// Label returns the column of the label.
func (t *Table) Label() Column { return t.Columns[len(t.Columns)-1] }

// Excluded returns the names of features that are not in training data.
func (t *Table) Excluded() (names []string) {
	for i := range t.schema.Features {
		if f := &t.schema.Features[i]; f.Exclude {
			names = append(names, f.Name)
		}
	}
	return names
}

// Personal returns the names of columns whose features are personal.
func (t *Table) Personal() (names []string) {
	for _, c := range t.Columns {
		if c.feature != nil && c.feature.Personal {
			names = append(names, c.Name)
		}
	}
	return names
}

func (t *Table) names() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

func (t *Table) lowerNames() []string {
	names := t.names()
	for i := range names {
		names[i] = strings.ToLower(names[i])
	}
	return names
}

// row reads a row of training CSV. The error repeats no value.
func (t *Table) row(line []byte) (label int64, v schema.Vector, err error) {
	first, rest, _ := bytes.Cut(line, []byte{','})
	if len(first) != 1 || (first[0] != '0' && first[0] != '1') {
		return 0, nil, fmt.Errorf("the label is not 0 or 1")
	}
	v, err = t.schema.ParseCSV(rest)
	return int64(first[0] - '0'), v, err
}

// value returns the value of a column in a row: int64, float64 or string, nil if it is
// missing.
func (c *Column) value(label int64, v schema.Vector) any {
	if c.feature == nil {
		return label
	}
	x, missing := c.feature.Decode(v[c.at-1:])
	switch {
	case missing:
		return nil
	case c.feature.Type == schema.Category:
		if i := int(x); i < 0 || i >= len(c.feature.Values) {
			return nil
		}
		return c.feature.Text(x)
	case c.feature.Type == schema.Date:
		return c.feature.Text(x)
	case c.feature.Type == schema.Integer:
		return int64(x)
	}
	return x
}

// quoteName writes a name in SQL.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
