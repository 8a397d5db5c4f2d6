package draft

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
}

// Draft is a schema file and the decisions in it.
type Draft struct {
	YAML     []byte
	Rows     int       // rows that were read
	Unread   int       // rows that could not be read
	Label    Label     // the column to be learned
	ID       string    // header of the id's column; empty: rows are numbered
	LeftOut  []LeftOut // columns that the model does not see
	Features int       // columns that it sees
	Schema   *schema.Schema
}

// LeftOut is a column that the model does not see.
type LeftOut struct {
	Column string
	Reason string
}

// maxRow is the maximum length of a row in bytes.
const maxRow = 1 << 20

// sampleRows is the number of rows that are kept to look at columns together.
const sampleRows = 20_000

// table is what one pass over a file shows.
type table struct {
	columns []*column
	rows    int
	bad     badRows
	totals  int        // rows that look like a total
	sample  [][]string // a random sample of the rows, trimmed
	notes   []string   // remarks of the reader: encoding, header
}

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
	text, err := schema.NewCSVReader(decoded, maxRow)
	if err != nil {
		return nil, err
	}
	t := &table{}
	names := schema.UniqueNames(text.Header())
	if text.HeaderIsData() {
		text.UnreadHeader()
		names = schema.NumberedNames(len(names))
		t.notes = append(t.notes, "the file has no header: its first line is data. Columns are named by their position")
	}
	for i, name := range names {
		t.columns = append(t.columns, newColumn(name, i))
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same file gives the same draft
	for {
		_, cells, err := text.Next()
		var unread *schema.RowError
		switch {
		case errors.Is(err, io.EOF):
			if note := decoded.Note(); note != "" {
				t.notes = append(t.notes, note)
			}
			return t, t.check()
		case errors.As(err, &unread):
			t.bad.add(err)
			continue
		case err != nil:
			return nil, err
		}
		t.add(cells, random)
	}
}

func (t *table) add(cells []string, random *rand.Rand) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = strings.TrimSpace(cell)
	}
	if isTotal(row) {
		t.totals++
		return
	}
	t.rows++
	for i, cell := range row {
		t.columns[i].add(cell)
	}
	// Vitter's algorithm R: every row is in the sample with the same probability.
	if len(t.sample) < sampleRows {
		t.sample = append(t.sample, row)
	} else if k := random.IntN(t.rows); k < sampleRows {
		t.sample[k] = row
	}
}

// check returns an error for a table without rows.
func (t *table) check() error {
	if t.rows > 0 {
		return nil
	}
	return cmp.Or(t.bad.first, errors.New("there are no rows below the header"))
}

// totalWords begin the row of a total below a table.
var totalWords = []string{"total", "totals", "grand total", "sum", "summe", "gesamt", "gesamtsumme", "insgesamt", "somme", "totale", "suma", "итого", "всего"}

// isTotal reports whether a row is a total or a subtotal: its first cell with a
// value says so, and most other cells are empty.
func isTotal(row []string) bool {
	first, values := "", 0
	for _, cell := range row {
		if cell == "" {
			continue
		}
		if values++; values == 1 {
			first = strings.ToLower(strings.TrimRight(cell, ": "))
		}
	}
	if len(row) < 3 || values*2 > len(row) {
		return false
	}
	for _, word := range totalWords {
		if first == word {
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

// valid returns text for a message: shortened, and UTF-8.
func shorten(text string, maxRunes int) string {
	text = strings.ToValidUTF8(text, "?")
	if utf8.RuneCountInString(text) <= maxRunes {
		return text
	}
	runes := []rune(text)
	return string(runes[:maxRunes]) + "…"
}
