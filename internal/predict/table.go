package predict

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Row is one row of a table of customers: what it says, or how it breaks the
// schema.
type Row struct {
	Line       int // of its first character, counted from 1, the header included
	CustomerID string
	Features   Record // possibly partial: Complete has not been called
	Label      *int   // nil if the table has none or the cell is empty
	Explain    bool   // NDJSON only
	Violations Violations
}

// Table reads rows of customers one by one, in constant memory.
type Table interface {
	// Next returns the next row, or io.EOF after the last. A row that breaks
	// the schema is a Row with Violations. Any other error ends the table: an
	// *Error of kind Invalid where the text is at fault, else the reader's own.
	Next() (Row, error)
}

// csvTable reads delimited text whose first record names the columns.
type csvTable struct {
	schema  *Schema
	csv     *csv.Reader
	budget  *budgetReader
	columns []int // column → index into schema.Features, or one of the below
	names   []string
	hasID   bool
	line    int // last line read; 0 before the header
}

const (
	columnID    = -1
	columnLabel = -2
)

// NewCSVTable reads CSV with a header row: feature names or aliases, the
// schema's id and label, in any order. The delimiter (comma, semicolon or tab)
// is told by the header; CRLF, quotes and a byte order mark are understood.
// maxRow bounds a row in bytes. A header that does not fit the schema is an
// *Error of kind Invalid whose violations name every bad column.
func NewCSVTable(s *Schema, r io.Reader, maxRow int) (Table, error) {
	budget := &budgetReader{r: r, rows: maxRow}
	budget.renew()
	buffered := bufio.NewReaderSize(budget, csvBuffer)
	header, err := peekLine(buffered)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errRowTooLong) && len(header) == 0 {
		return nil, err
	}
	if bom := []byte("\ufeff"); strings.HasPrefix(string(header), string(bom)) {
		_, _ = buffered.Discard(len(bom))
		header = header[len(bom):]
	}
	t := &csvTable{schema: s, budget: budget, csv: csv.NewReader(buffered)}
	t.csv.Comma = Delimiter(string(header))
	t.csv.ReuseRecord = true
	t.csv.FieldsPerRecord = -1 // checked by row, so that one short row does not end the table
	names, err := t.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, Errorf(Invalid, "the table is empty: a header row with the names of the features is due")
	}
	if err != nil {
		return nil, t.fault(err)
	}
	t.count(names)
	for _, name := range names {
		t.names = append(t.names, strings.TrimSpace(name))
	}
	if violations := t.readHeader(); violations.Count() > 0 {
		return nil, &Error{Kind: Invalid, Detail: "the header row does not fit the schema", Violations: violations.Listed, Omitted: violations.Omitted}
	}
	return t, nil
}

// peekLine looks at the first line that is not blank, as far as the buffer
// holds it, without waiting for what follows: a caller that streams may send
// its header long before its rows.
func peekLine(r *bufio.Reader) ([]byte, error) {
	for {
		_, err := r.Peek(min(r.Buffered()+1, r.Size()))
		head, _ := r.Peek(r.Buffered())
		line := bytes.TrimLeft(head, "\ufeff\r\n")
		if err != nil || len(head) == r.Size() || bytes.IndexByte(line, '\n') >= 0 {
			return head, err
		}
	}
}

// Delimiter picks the delimiter (comma, semicolon or tab) that the header line
// of a table uses most.
func Delimiter(text string) rune {
	line, _, _ := strings.Cut(strings.TrimLeft(text, "\r\n"), "\n")
	best, most := ',', 0
	for _, d := range []rune{',', ';', '\t'} {
		if n := strings.Count(line, string(d)); n > most {
			best, most = d, n
		}
	}
	return best
}

// readHeader maps columns to features and says what is wrong with them.
func (t *csvTable) readHeader() (violations Violations) {
	seen := make(map[int]bool)
	for _, name := range t.names {
		column := t.schema.Feature(name)
		switch {
		case t.schema.isID(name):
			column, t.hasID = columnID, true
		case name == t.schema.Label.Name:
			column = columnLabel
		case column < 0:
			suggestion := ""
			if !violations.Full() {
				suggestion = t.schema.suggest(name)
			}
			violations.Add(Violation{shorten(name), CodeUnknown, "is not a column of the schema" + suggestion})
			continue
		}
		if seen[column] {
			violations.Add(Violation{name, CodeDuplicate, "is given twice"})
		}
		seen[column] = true
		t.columns = append(t.columns, column)
	}
	if t.hasID {
		return violations // the missing features may be in the customer store
	}
	for i := range t.schema.Features {
		if f := &t.schema.Features[i]; !seen[i] && f.Default == nil && !f.Exclude {
			violations.Add(Violation{f.Name, CodeMissing, "is required, and the schema gives no default"})
		}
	}
	return violations
}

// Next implements Table.
func (t *csvTable) Next() (Row, error) {
	t.budget.renew()
	cells, err := t.csv.Read()
	if errors.Is(err, io.EOF) {
		return Row{}, io.EOF
	}
	var parse *csv.ParseError
	if errors.As(err, &parse) && !errors.Is(err, errRowTooLong) { // a stray quote; the reader goes on with the next line
		t.line = parse.Line
		row := Row{Line: parse.StartLine, Features: t.schema.NewRecord()}
		row.Violations.Add(Violation{"row", CodeFormat, "is not CSV: " + parse.Err.Error()})
		return row, nil
	}
	if err != nil {
		return Row{}, t.fault(err)
	}
	line, _ := t.csv.FieldPos(0)
	t.count(cells)
	row := Row{Line: line, Features: t.schema.NewRecord()}
	if len(cells) != len(t.columns) {
		row.Violations.Add(Violation{"row", CodeFormat,
			fmt.Sprintf("has %d columns where the header has %d", len(cells), len(t.columns))})
		return row, nil
	}
	for i, text := range cells {
		if v := t.set(&row, i, text); v != nil {
			row.Violations.Add(*v)
		}
	}
	return row, nil
}

// count notes the line at which a record ended.
func (t *csvTable) count(cells []string) {
	last := len(cells) - 1
	line, _ := t.csv.FieldPos(last)
	t.line = line + strings.Count(cells[last], "\n")
}

func (t *csvTable) set(row *Row, i int, text string) *Violation {
	if !utf8.ValidString(text) {
		return &Violation{t.names[i], CodeFormat, "is not valid UTF-8"}
	}
	switch column := t.columns[i]; column {
	case columnID:
		row.CustomerID = strings.TrimSpace(text)
		return CheckCustomerID(t.schema.ID, row.CustomerID)
	case columnLabel:
		return t.schema.setLabel(row, strings.TrimSpace(text))
	default:
		v := t.schema.SetText(row.Features, column, text)
		if v != nil {
			v.Field = t.names[i]
		}
		return v
	}
}

// isID reports whether a column or member holds the customer id: by the
// schema's name for it, or by the interface's.
func (s *Schema) isID(name string) bool {
	return name == s.ID || (name == "customer_id" && s.Feature(name) < 0)
}

// setLabel sets a row's label from text; empty text leaves it unknown.
func (s *Schema) setLabel(row *Row, text string) *Violation {
	if text == "" {
		return nil
	}
	label, ok := s.Label.FromText(text)
	if !ok {
		return &Violation{s.Label.Name, CodeCategory, "must be one of " + s.Label.spellings() + ", or empty"}
	}
	row.Label = &label
	return nil
}

// fault names the line at which the text stopped being CSV.
func (t *csvTable) fault(err error) error {
	var parse *csv.ParseError
	switch {
	case errors.Is(err, errRowTooLong):
		return Errorf(Invalid, "the row at line %d is longer than %d bytes", t.line+1, t.budget.rows)
	case errors.As(err, &parse):
		return Errorf(Invalid, "line %d, column %d: not CSV: %v", parse.Line, parse.Column, parse.Err)
	}
	return err
}

// CheckCustomerID says what is wrong with a customer id: it is 1 to 256
// bytes of printable UTF-8.
func CheckCustomerID(field, id string) *Violation {
	const most = 256
	switch {
	case id == "":
		return &Violation{field, CodeMissing, "is empty"}
	case len(id) > most:
		return &Violation{field, CodeFormat, fmt.Sprintf("is longer than %d bytes", most)}
	case !utf8.ValidString(id) || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return &Violation{field, CodeFormat, "must be printable UTF-8"}
	}
	return nil
}

const csvBuffer = 4096

var errRowTooLong = errors.New("row too long")

// budgetReader bounds how much may be read for one row. encoding/csv reads as
// far as a quoted field goes; without this, one stray quote would pull a whole
// upload into memory.
type budgetReader struct {
	r    io.Reader
	rows int // allowance for a row
	left int
}

func (b *budgetReader) renew() { b.left = b.rows + csvBuffer }

func (b *budgetReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errRowTooLong
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
