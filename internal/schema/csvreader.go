package schema

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"gateway/internal/failure"
)

// MaxRow is the maximum length in bytes of a row of a file of customers: for a draft, an
// import and a command that scores a file. The streams of apps have a bound of their own.
const MaxRow = 1 << 20

// CSVReader reads the records of a delimited text whose first record names the
// columns. It finds the delimiter (comma, semicolon, tab or bar) and the line
// ends (LF, CRLF or CR) in the header. It skips a byte order mark, a first line
// "sep=;" as Excel writes it, and separators that end every line.
type CSVReader struct {
	lines    *csvLines
	csv      *csv.Reader
	comma    rune
	header   []string
	line     int // of the header
	trailing int // columns at the end of the header that have no name
	maxRow   int
	unread   []string // the header, if it is a record that Next is to return
	headless bool     // the header was such a record
}

// RowError is the error of a record that cannot be read. Later records can be
// read.
type RowError struct {
	Line   int
	Detail string // predicate of "the row"
}

func (e *RowError) Error() string { return fmt.Sprintf("line %d: the row %s", e.Line, e.Detail) }

// NewCSVReader reads the header. maxRow is the maximum length of a record in
// bytes. A header that cannot be read is a *failure.Error of kind Invalid.
func NewCSVReader(r io.Reader, maxRow int) (*CSVReader, error) {
	form, head, err := sniffCSV(r, maxRow)
	switch {
	case head == nil && err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case err != nil:
		r = failingReader{err} // returned after head
	}
	r = io.MultiReader(bytes.NewReader(head[form.skip:]), r)
	if form.cr {
		r = &crReader{r: r}
	}
	c := &CSVReader{lines: &csvLines{r: bufio.NewReaderSize(r, csvBuffer), max: maxRow, line: 1 + form.lines}, comma: form.comma, maxRow: maxRow}
	c.restart()
	line, names, err := c.read()
	var bad *RowError
	switch {
	case errors.Is(err, io.EOF):
		return nil, failure.Errorf(failure.Invalid, "the table is empty: the first row must hold the names of the columns")
	case errors.As(err, &bad) && (bytes.HasPrefix(head[form.skip:], []byte("{")) || bytes.HasPrefix(head[form.skip:], []byte("["))):
		return nil, failure.Errorf(failure.Invalid, "line %d: the header row is not CSV; the file seems to be JSON", line)
	case errors.As(err, &bad):
		return nil, failure.Errorf(failure.Invalid, "line %d: the header row %s", line, bad.Detail)
	case err != nil:
		return nil, err
	}
	c.line = line
	for _, name := range names {
		c.header = append(c.header, strings.TrimSpace(name))
	}
	for n := len(c.header); n > 1 && c.header[n-1] == ""; n-- {
		c.header = c.header[:n-1]
		c.trailing++
	}
	return c, checkHeaderText(c.header, line)
}

// failingReader returns an error for each read.
type failingReader struct{ err error }

// Read implements io.Reader.
func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// checkHeaderText refuses names that are not UTF-8.
func checkHeaderText(header []string, line int) error {
	var violations failure.Violations
	for i, name := range header {
		if !utf8.ValidString(name) {
			violations.Add(failure.Violation{Field: nameOfColumn(header, i), Code: failure.CodeFormat, Detail: "is not valid UTF-8"})
		}
	}
	if violations.Count() == 0 {
		return nil
	}
	return &failure.Error{Kind: failure.Invalid, Violations: violations.Listed, Omitted: violations.Omitted,
		Detail: fmt.Sprintf("line %d: the header row is not UTF-8; the file seems to be Windows-1252; save it as UTF-8", line)}
}

// nameOfColumn names a column in a message: by its name, escaped and shortened if
// necessary, or by its position if it has none.
func nameOfColumn(header []string, i int) string {
	if header[i] == "" {
		return fmt.Sprintf("column %d", i+1)
	}
	return shorten(header[i])
}

// Header returns the names of the columns.
func (c *CSVReader) Header() []string { return c.header }

// HeaderLine returns the line on which the names begin, counted from 1.
func (c *CSVReader) HeaderLine() int { return c.line }

// HeaderIsData reports whether the header is numbers only, as in a file without a
// header.
func (c *CSVReader) HeaderIsData() bool {
	for _, name := range c.header {
		if _, _, ok := ParseNumber(name); !ok {
			return false
		}
	}
	return len(c.header) > 1
}

// UnreadHeader makes Next return the header as the first record. It must be called
// before Next.
func (c *CSVReader) UnreadHeader() { c.unread, c.headless = c.header, true }

// NumberedNames returns a name for each of n columns by its position: column_1,
// column_2 and so on.
func NumberedNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = "column_" + strconv.Itoa(i+1)
	}
	return names
}

// UniqueNames returns the names of a header with a number behind those that repeat
// (age, age_2), and column_3 for a third column without a name.
func UniqueNames(header []string) []string {
	given := make(map[string]bool, len(header))
	for _, name := range header {
		given[name] = true
	}
	names := make([]string, len(header))
	used := make(map[string]bool, len(header))
	for i, name := range header {
		base := cmp.Or(name, "column_"+strconv.Itoa(i+1))
		unique := base
		for n := 2; used[unique] || (unique != name && given[unique]); n++ {
			unique = base + "_" + strconv.Itoa(n)
		}
		names[i], used[unique] = unique, true
	}
	return names
}

// Comma returns the delimiter.
func (c *CSVReader) Comma() rune { return c.comma }

// Next returns the next record and the line on which it begins. The cells are
// valid until the next call. A record with too few or too many cells, or the header
// again, has an error and its cells. The error is a *RowError if only this record cannot be read,
// io.EOF after the last record, a *failure.Error of kind Invalid if a line
// exceeds maxRow, or the reader's own.
func (c *CSVReader) Next() (line int, cells []string, err error) {
	if c.unread != nil {
		cells, c.unread = c.unread, nil
		return c.line, cells, nil
	}
	line, cells, err = c.read()
	if err != nil {
		return line, nil, err
	}
	if n := len(c.header); len(cells) == n+c.trailing && allEmpty(cells[n:]) {
		cells = cells[:n]
	}
	if c.repeatsHeader(cells) {
		return line, cells, &RowError{line, "repeats the header"}
	}
	if len(cells) == len(c.header) {
		return line, cells, nil
	}
	detail := fmt.Sprintf("has %d columns where the header has %d", len(cells), len(c.header))
	if c.lines.multiple() {
		return line, nil, c.resume(line, detail+", or a quote that is not closed")
	}
	return line, cells, &RowError{line, detail}
}

// repeatsHeader reports whether a record is the header again, as in files that were
// appended to one another.
func (c *CSVReader) repeatsHeader(cells []string) bool {
	if c.headless || len(c.header) < 2 || len(cells) != len(c.header) {
		return false
	}
	for i, cell := range cells {
		if strings.TrimSpace(cell) != c.header[i] {
			return false
		}
	}
	return true
}

func allEmpty(cells []string) bool {
	for _, cell := range cells {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

// read returns the next record, of any number of cells.
func (c *CSVReader) read() (line int, cells []string, err error) {
	c.lines.forget()
	if cells, err = c.csv.Read(); err != nil {
		line = c.lines.line // read before fault continues
		return line, nil, c.fault(err)
	}
	return c.lines.line, cells, nil
}

// fault describes an error of encoding/csv.
func (c *CSVReader) fault(err error) error {
	line := c.lines.line
	var parse *csv.ParseError
	switch {
	case err == io.EOF: // not errors.Is: the failure of a connection may wrap io.EOF
		return io.EOF
	case errors.Is(err, errRowTooLong) && c.header != nil && c.lines.multiple():
		return c.resume(line, fmt.Sprintf("has a quote that is not closed within %d bytes", c.maxRow))
	case errors.Is(err, errRowTooLong):
		return failure.Errorf(failure.Invalid, "the row at line %d is longer than %d bytes", line, c.maxRow)
	case !errors.As(err, &parse):
		return err
	case c.header != nil && c.lines.multiple():
		return c.resume(line, "has a quote that is not closed")
	}
	return &RowError{line, "is not CSV: " + parse.Err.Error()}
}

// resume drops the first line of a record of several lines and reads the others
// again, because an unclosed quote had included them.
func (c *CSVReader) resume(line int, detail string) error {
	c.lines.backToSecond()
	c.restart()
	return &RowError{line, detail}
}

func (c *CSVReader) restart() {
	c.csv = csv.NewReader(c.lines)
	c.csv.Comma = c.comma
	c.csv.ReuseRecord = true
	c.csv.FieldsPerRecord = -1 // Next compares the number of cells with the header.
}
