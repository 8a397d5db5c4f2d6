package draft

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gateway/internal/schema"
	"gateway/internal/suggest"
)

// Options are the decisions of the user. Empty fields are inferred.
type Options struct {
	Name     string // of the schema; empty: customers
	ID       string // column that holds the customer id
	Label    string // column to be learned
	Positive string // value of the label that is to be predicted
	Target   bool   // the platform can code categories by the label
}

// Draft is a schema file and the decisions in it.
type Draft struct {
	YAML     []byte
	Rows     int       // rows that were read
	Unread   int       // rows that could not be read
	Label    Label     // the column to be learned
	ID       string    // header of the id's column; empty: rows are numbered
	WhyID    string    // why it was taken, or why there is none
	LeftOut  []LeftOut // columns that the model does not see
	Features int       // columns that it sees
	Notes    []string  // remarks on the file as a whole
	Guesses  []string  // what was taken for likely, by column
	Schema   *schema.Schema
}

// OptionError is the error of an option that does not fit the file.
type OptionError struct {
	Option string // id, label or positive
	Reason string
}

func (e *OptionError) Error() string { return "--" + e.Option + ": " + e.Reason }

// LeftOut is a column that the model does not see.
type LeftOut struct {
	Column string
	Reason string
}

// sampleRows is the number of rows that are kept to look at columns together.
const sampleRows = 20_000

// table is what one pass over a file shows.
type table struct {
	columns []*column
	rows    int
	bad     badRows
	totals  []totalRow // rows that look like a total, at most maxTotals
	sample  [][]string // a random sample of the rows, trimmed
	notes   []string   // remarks on the file: encoding, header, rows left out
	random  *rand.Rand
}

// totalRow is a row that looks like a total.
type totalRow struct {
	line int
	row  []string
}

// maxTotals is the maximum number of rows that are taken for totals. If more look
// like one, they are data.
const maxTotals = 5

// badRows are rows that cannot be read.
type badRows struct {
	count int
	first error
}

func (b *badRows) add(err error) {
	b.count++
	b.first = cmp.Or(b.first, err)
}

// Infer drafts a schema from CSV data. It reads r to its end.
func Infer(r io.Reader, opts Options) (*Draft, error) {
	t, err := profile(r)
	if err != nil {
		return nil, err
	}
	d := decisions{table: t, opts: opts}
	if err := d.decide(); err != nil {
		return nil, err
	}
	return d.draft()
}

// profile reads the rows to the end and skips those that cannot be read.
func profile(r io.Reader) (*table, error) {
	decoded := schema.NewTextReader(r)
	text, err := schema.NewCSVReader(decoded, schema.MaxRow)
	if err != nil {
		return nil, err
	}
	t := &table{random: rand.New(rand.NewPCG(1, 2))} // the same file gives the same draft
	names := schema.UniqueNames(text.Header())
	if text.HeaderIsData() {
		text.UnreadHeader()
		names = schema.NumberedNames(len(names))
		t.notes = append(t.notes, "the file has no header: its first line is data. Columns are named by their position")
	}
	for i, name := range names {
		t.columns = append(t.columns, newColumn(name, i))
	}
	for {
		line, cells, err := text.Next()
		var unread *schema.RowError
		switch {
		case errors.Is(err, io.EOF):
			if note := decoded.Note(); note != "" {
				if !decoded.UTF16() {
					note += ". If names or values look wrong, save the file as UTF-8"
				}
				t.notes = append(t.notes, note)
			}
			return t, t.finish(text.HeaderLine())
		case errors.As(err, &unread):
			t.bad.add(err)
			continue
		case err != nil:
			return nil, err
		}
		t.read(line, cells)
	}
}

// read adds a row, unless it looks like a total.
func (t *table) read(line int, cells []string) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = strings.TrimSpace(cell)
	}
	if _, total := schema.IsTotal(row); len(t.totals) > maxTotals || !total {
		t.add(row)
		return
	}
	if t.totals = append(t.totals, totalRow{line, row}); len(t.totals) > maxTotals {
		for _, total := range t.totals {
			t.add(total.row)
		}
	}
}

func (t *table) add(row []string) {
	t.rows++
	for i, cell := range row {
		t.columns[i].add(cell)
	}
	// Vitter's algorithm R: every row is in the sample with the same probability.
	if len(t.sample) < sampleRows {
		t.sample = append(t.sample, row)
	} else if k := t.random.IntN(t.rows); k < sampleRows {
		t.sample[k] = row
	}
}

// finish adds the remarks on the rows, and returns an error for a table without
// rows or without a header.
func (t *table) finish(headerLine int) error {
	switch {
	case t.rows > 0:
	case t.bad.count > 0 && len(t.columns) == 1:
		return fmt.Errorf("%w; is line %d, %q, a title? Remove what is above the names of the columns", t.bad.first, headerLine, shorten(t.columns[0].header, 40))
	default:
		return cmp.Or(t.bad.first, errors.New("there are no rows below the header"))
	}
	if t.headerIsData() {
		headers := make([]string, len(t.columns))
		for i, c := range t.columns {
			headers[i] = c.header
		}
		return fmt.Errorf("line %d seems to be data and not a header: %s; write a line with the names of the columns above it", headerLine, quoted(headers[:min(len(headers), 5)]))
	}
	if n := t.bad.count; n > 0 {
		t.notes = append(t.notes, fmt.Sprintf("%s cannot be read and %s left out, the first on %s", countOf(n, "row"), wasWere(n), t.bad.first))
	}
	if n := len(t.totals); n > 0 && n <= maxTotals {
		lines := make([]string, n)
		for i, total := range t.totals {
			lines[i] = strconv.Itoa(total.line)
		}
		note := "the row on line %s looks like a total and was left out. An import leaves it out too, and reports it"
		if n > 1 {
			note = "the rows on lines %s look like totals and were left out. An import leaves them out too, and reports them"
		}
		t.notes = append(t.notes, fmt.Sprintf(note, strings.Join(lines, ", ")))
	}
	return nil
}

// countOf returns "1 row" or "2 rows".
func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func wasWere(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

// headerIsData reports whether the first line is data: it repeats a text of its
// column, and no column of numbers or dates has a name that is none.
func (t *table) headerIsData() bool {
	repeats := false
	for _, c := range t.columns {
		_, isNumber, _ := c.number()
		_, _, isDate := c.dates.format()
		switch {
		case schema.IsMissingMarker(c.header) || strings.HasPrefix(c.header, "column_"):
		case isNumber && !c.allNumbers(c.header), isDate && !isNumber && !slices.ContainsFunc(dateFormats, func(f dateFormat) bool { return f.matches(c.header) }):
			return false
		case !isNumber && !isDate && c.texts[c.header] > 1:
			repeats = true
		}
	}
	return repeats
}

// allNumbers reports whether a text is a number in a format that the column has.
func (c *column) allNumbers(text string) bool {
	for f := range c.numbers {
		if c.numbers[f].none || !c.numbers[f].any {
			continue
		}
		if _, _, ok := readNumber(text, numberFormat(f)); ok {
			return true
		}
	}
	return false
}

// column returns the column with a header.
func (t *table) column(name string) (*column, error) {
	for _, c := range t.columns {
		if c.header == name {
			return c, nil
		}
	}
	for _, c := range t.columns {
		if strings.EqualFold(c.header, strings.TrimSpace(name)) {
			return c, nil
		}
	}
	headers := make([]string, len(t.columns))
	for i, c := range t.columns {
		headers[i] = c.header
	}
	hint := ""
	if closest := suggest.Closest(name, headers); closest != "" {
		hint = fmt.Sprintf("; did you mean %q?", closest)
	}
	return nil, fmt.Errorf("there is no column %q in the header%s", name, hint)
}

// shorten returns text for a message: shortened, and UTF-8.
func shorten(text string, maxRunes int) string {
	text = strings.ToValidUTF8(text, "?")
	if utf8.RuneCountInString(text) <= maxRunes {
		return text
	}
	runes := []rune(text)
	return string(runes[:maxRunes]) + "…"
}
