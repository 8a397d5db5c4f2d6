package schema

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"gateway/internal/failure"
)

// Row is one row of a table of customers: its values and its violations.
type Row struct {
	Line       int // of its first character, counted from 1, the header included
	CustomerID string
	Features   Record  // possibly partial: Complete has not been called
	Label      *int    // nil if the table has none or the cell is empty
	Explain    Explain // NDJSON only
	Violations failure.Violations
}

// Table reads rows of customers one by one in constant memory.
type Table interface {
	// Next returns the next row, or io.EOF after the last. A row that violates the
	// schema is a Row with Violations. Any other error ends the table: a
	// *failure.Error of kind Invalid where the text is at fault, else the reader's
	// own.
	Next() (Row, error)
}

// csvTable reads delimited text whose first record names the columns.
type csvTable struct {
	schema  *Schema
	csv     *CSVReader
	columns []int // column → index into schema.Features, or one of the below
	names   []string
	hasID   bool
	totals  bool // rows that look like a total are violations
}

const (
	columnID    = -1
	columnLabel = -2
)

// NewCSVTable reads CSV with a header row: feature names or aliases, the schema's
// id and label, in any order, in the forms that CSVReader reads. maxRow is the
// maximum length of a row in bytes. A header that does not match the schema is a
// *failure.Error of kind Invalid whose violations name every bad column. With an id
// required features may lack a column, because the store may have them.
func NewCSVTable(s *Schema, r io.Reader, maxRow int) (Table, error) {
	return newCSVTable(s, r, maxRow, false)
}

// NewCSVImport is NewCSVTable for customers that are to be stored: required features
// must have a column, with an id too. A row that looks like a total is a violation.
func NewCSVImport(s *Schema, r io.Reader, maxRow int) (Table, error) {
	return newCSVTable(s, r, maxRow, true)
}

func newCSVTable(s *Schema, r io.Reader, maxRow int, complete bool) (Table, error) {
	text, err := NewCSVReader(r, maxRow)
	if err != nil {
		return nil, err
	}
	t := &csvTable{schema: s, csv: text, names: s.columnNames(text), totals: complete}
	if violations := t.readHeader(complete); violations.Count() > 0 {
		return nil, &failure.Error{Kind: failure.Invalid, Detail: fmt.Sprintf("line %d: the header row does not fit the schema %q", text.HeaderLine(), s.Name),
			Violations: violations.Listed, Omitted: violations.Omitted}
	}
	return t, nil
}

// columnNames returns the names by which the schema has the columns of a file. A
// file without a header has column_1, column_2 and so on; names that repeat are
// numbered, and a column without a name is called by its position, if the schema
// has that name (see UniqueNames).
func (s *Schema) columnNames(text *CSVReader) []string {
	header := text.Header()
	if numbered := NumberedNames(len(header)); text.HeaderIsData() && s.hasColumn(numbered[0]) {
		text.UnreadHeader()
		return numbered
	}
	names := slices.Clone(header)
	for i, unique := range UniqueNames(header) {
		if unique != header[i] && s.hasColumn(unique) {
			names[i] = unique
		}
	}
	return names
}

// hasColumn reports whether a name is that of a feature, the id or the label.
func (s *Schema) hasColumn(name string) bool {
	return s.Feature(name) >= 0 || s.isID(name) || name == s.Label.Name
}

// readHeader maps columns to features and returns the violations of the header. With
// complete required features must have a column.
func (t *csvTable) readHeader(complete bool) (violations failure.Violations) {
	seen := make(map[int]bool)
	for i, name := range t.names {
		column := t.schema.Feature(name)
		switch {
		case t.schema.isID(name):
			column, t.hasID = columnID, true
		case t.schema.IsLabel(name):
			column = columnLabel
		case column < 0:
			suggestion := ""
			if !violations.Full() {
				suggestion = t.schema.didYouMeanColumn(name)
			}
			violations.Add(failure.Violation{Field: nameOfColumn(t.names, i), Code: failure.CodeUnknown, Detail: "is not a column of the schema" + suggestion})
			continue
		}
		if seen[column] {
			violations.Add(failure.Violation{Field: nameOfColumn(t.names, i), Code: failure.CodeDuplicate, Detail: "is given twice"})
		}
		seen[column] = true
		t.columns = append(t.columns, column)
	}
	if t.hasID && !complete {
		return violations // the missing features may be in the customer store
	}
	for i := range t.schema.Features {
		if f := &t.schema.Features[i]; !seen[i] && f.Required() {
			violations.Add(failure.Violation{Field: f.Name, Code: failure.CodeMissing, Detail: "is required and has no default"})
		}
	}
	return violations
}

// Next implements Table.
func (t *csvTable) Next() (Row, error) {
	line, cells, err := t.csv.Next()
	if err != nil {
		return t.unread(err)
	}
	row := Row{Line: line, Features: t.schema.NewRecord()}
	if t.totals && t.isTotal(cells) {
		row.Violations.Add(failure.Violation{Field: "row", Code: failure.CodeFormat, Detail: "looks like a total: it begins with such a word and has an empty cell"})
		return row, nil
	}
	for i, text := range cells {
		if v := t.set(&row, i, text); v != nil {
			row.Violations.Add(*v)
		}
	}
	return row, nil
}

// unread returns a row for a record that cannot be read.
func (t *csvTable) unread(err error) (Row, error) {
	var bad *RowError
	if !errors.As(err, &bad) {
		return Row{}, err
	}
	row := Row{Line: bad.Line, Features: t.schema.NewRecord()}
	row.Violations.Add(failure.Violation{Field: "row", Code: failure.CodeFormat, Detail: bad.Detail})
	return row, nil
}

func (t *csvTable) set(row *Row, i int, text string) *failure.Violation {
	if !utf8.ValidString(text) {
		return &failure.Violation{Field: t.names[i], Code: failure.CodeFormat, Detail: "is not valid UTF-8; save the file as UTF-8"}
	}
	switch column := t.columns[i]; column {
	case columnID:
		row.CustomerID = strings.TrimSpace(text)
		return CheckCustomerID(t.names[i], row.CustomerID)
	case columnLabel:
		return t.schema.setLabel(row, t.names[i], strings.TrimSpace(text))
	default:
		v := t.schema.SetText(row.Features, column, text)
		if v != nil {
			v.Field = t.names[i]
		}
		return v
	}
}

// isID reports whether a column or member of a file holds the customer id: it has
// one of the schema's names for it, or the API's.
func (s *Schema) isID(name string) bool {
	return s.IsID(name) || (name == "customer_id" && s.Feature(name) < 0 && !s.IsLabel(name))
}

// setLabel sets a row's label from text; a missing value leaves it unknown. field names
// it in the violation.
func (s *Schema) setLabel(row *Row, field, text string) *failure.Violation {
	label, ok := s.Label.FromText(text)
	switch {
	case ok:
	case IsMissingMarker(text):
		return nil
	default:
		return &failure.Violation{Field: field, Code: failure.CodeCategory, Detail: "must be one of " + s.Label.spellings() + ", or empty"}
	}
	row.Label = &label
	return nil
}

// CheckCustomerID returns the violation of an invalid customer id. A valid one is
// 1 to 256 bytes of printable UTF-8.
func CheckCustomerID(field, id string) *failure.Violation {
	const most = 256
	switch {
	case id == "":
		return &failure.Violation{Field: field, Code: failure.CodeMissing, Detail: "is empty"}
	case len(id) > most:
		return &failure.Violation{Field: field, Code: failure.CodeFormat, Detail: fmt.Sprintf("is longer than %d bytes", most)}
	case !utf8.ValidString(id) || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return &failure.Violation{Field: field, Code: failure.CodeFormat, Detail: "must be printable UTF-8"}
	}
	return nil
}
