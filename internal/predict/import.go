package predict

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"strconv"

	"gateway/internal/failure"
	"gateway/internal/schema"
)

// CustomerStore stores imported customers.
type CustomerStore interface {
	// PutCustomers inserts customers or replaces their features. A nil label keeps
	// the stored one, and a label set by an outcome is always kept. On an error
	// inserted and updated count the leading customers that were stored; later
	// ones may have been stored as well.
	PutCustomers(ctx context.Context, customers []Customer) (inserted, updated int, err error)
	// RemoveDemo deletes the generated customers and returns how many it deleted,
	// also on an error.
	RemoveDemo(ctx context.Context) (int64, error)
}

// Importer loads tables of customers into the customer store.
type Importer struct {
	schema *schema.Schema
	store  CustomerStore
}

// NewImporter makes an Importer.
func NewImporter(schema *schema.Schema, store CustomerStore) *Importer {
	return &Importer{schema, store}
}

// Schema returns the schema that rows are validated against.
func (im *Importer) Schema() *schema.Schema { return im.schema }

// ImportOptions are the options of an import. The zero value imports all good
// rows and reports nothing on the way.
type ImportOptions struct {
	Strict    bool             // stop at the first bad row; rows before it stay
	UniqueIDs bool             // stop at the first id that an earlier row of the table has; else the last row wins
	BadRow    func(BadRow)     // called for each bad row
	Progress  func(rows int64) // called after each stored chunk with the number of rows read so far
}

// BadRow is a row that was not imported, with the reasons.
type BadRow struct {
	Line   int                 `json:"line"`
	Errors []failure.Violation `json:"errors"`
	// Omitted is the number of further errors that are not listed.
	Omitted int `json:"errors_omitted,omitzero"`
}

// ImportReport counts the rows of an import. Rows = Imported + Failed.
type ImportReport struct {
	Rows        int64 `json:"rows"`
	Imported    int64 `json:"imported"`
	Inserted    int64 `json:"inserted"` // customers that are new
	Updated     int64 `json:"updated"`  // customers that existed
	Failed      int64 `json:"failed"`
	Labelled    int64 `json:"labelled"`     // imported rows with a label
	DemoRemoved int64 `json:"demo_removed"` // generated customers that were deleted
}

// ErrStrict is wrapped by the error of a strict import that stopped at a bad row.
var ErrStrict = errors.New("strict import")

// idSet holds the ids of a table by their hash, with the lines of their rows: 24
// bytes or so for each. Two ids of one hash are as good as impossible: among ten
// million ids the probability is 3 in a million.
type idSet struct {
	seed  maphash.Seed
	lines map[uint64]int
}

func newIDSet() *idSet { return &idSet{maphash.MakeSeed(), map[uint64]int{}} }

// add adds the id of a row. If an earlier row has it, add returns its line.
func (s *idSet) add(id string, line int) (earlier int, repeated bool) {
	h := maphash.String(s.seed, id)
	if earlier, repeated = s.lines[h]; repeated {
		return earlier, true
	}
	s.lines[h] = line
	return 0, false
}

const importChunk = 1000

// Import reads the table to its end and stores its good rows, a thousand a
// call. Rows without a customer id are numbered from 1 by their place
// in the table, so importing the same file again updates the same customers.
// The first real customers replace the generated ones. On an error the report
// says what was imported before it.
func (im *Importer) Import(ctx context.Context, t schema.Table, opts ImportOptions) (ImportReport, error) {
	var report ImportReport
	chunk := make([]Customer, 0, importChunk)
	var ids *idSet
	if opts.UniqueIDs {
		ids = newIDSet()
	}
	flush := func() error {
		if len(chunk) == 0 {
			return nil
		}
		if report.Imported == 0 {
			removed, err := im.store.RemoveDemo(ctx)
			report.DemoRemoved += removed
			if err != nil {
				return err
			}
		}
		inserted, updated, err := im.store.PutCustomers(ctx, chunk)
		report.Inserted += int64(inserted)
		report.Updated += int64(updated)
		for _, c := range chunk[:inserted+updated] {
			report.Imported++
			if c.Label != nil {
				report.Labelled++
			}
		}
		if err != nil {
			return err
		}
		chunk = chunk[:0]
		if opts.Progress != nil {
			opts.Progress(report.Rows)
		}
		return nil
	}
	for {
		row, err := t.Next()
		if errors.Is(err, io.EOF) {
			err := flush() // before report is read: flush adds to it
			return report, err
		}
		if err != nil {
			err = errors.Join(err, flush())
			return report, err
		}
		report.Rows++
		customer, violations := im.customer(row, report.Rows)
		if violations.Count() > 0 {
			report.Failed++
			bad := BadRow{Line: row.Line, Errors: violations.Listed, Omitted: violations.Omitted}
			if opts.BadRow != nil {
				opts.BadRow(bad)
			}
			if opts.Strict {
				first := violations.Listed[0]
				err := errors.Join(&failure.Error{Kind: failure.Invalid, Err: ErrStrict, Violations: violations.Listed, Omitted: violations.Omitted,
					Detail: "line " + strconv.Itoa(bad.Line) + ": " + first.Field + " " + first.Detail}, flush())
				return report, err
			}
			continue
		}
		if ids != nil {
			if earlier, repeated := ids.add(customer.ID, row.Line); repeated {
				err := errors.Join(repeatedID(im.schema.ID, row.Line, earlier), flush())
				return report, err
			}
		}
		if chunk = append(chunk, customer); len(chunk) == importChunk {
			if err := flush(); err != nil {
				return report, err
			}
		}
	}
}

// repeatedID returns the error of an import that stops at an id of an earlier row.
func repeatedID(name string, line, earlier int) error {
	detail := "is the id of line " + strconv.Itoa(earlier) + " too"
	return &failure.Error{Kind: failure.Invalid, Detail: "line " + strconv.Itoa(line) + ": " + name + " " + detail +
		"; an id must occur once in a file, unless the last row with it is to win",
		Violations: []failure.Violation{{Field: name, Code: failure.CodeDuplicate, Detail: detail}}}
}

func (im *Importer) customer(row schema.Row, number int64) (Customer, failure.Violations) {
	violations := row.Violations
	if violations.Count() == 0 || !row.Features.IsEmpty() {
		im.schema.AddMissing(&violations, row.Features, "")
	}
	if violations.Count() > 0 {
		return Customer{}, violations
	}
	id := row.CustomerID
	if id == "" {
		id = strconv.FormatInt(number, 10)
	}
	return Customer{ID: id, Features: im.schema.AppendFeatures(nil, row.Features, true), Label: row.Label}, failure.Violations{}
}
