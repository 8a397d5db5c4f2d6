package predict

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"io"
	"maps"
	"slices"
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
	// Features is that of Customers.
	Features(ctx context.Context, ids []string) (map[string][]byte, error)
	// LastNumber returns the highest number that is the id of a customer who was not
	// generated, 0 if there is none. It returns a *failure.Error of kind Invalid if
	// the store cannot tell.
	LastNumber(ctx context.Context) (int64, error)
}

// Numbering is how an import numbers rows without an id.
type Numbering string

// The numberings.
const (
	// NumberReplace numbers the rows from 1. They replace the customers of these
	// numbers.
	NumberReplace Numbering = "replace"
	// NumberRefuse numbers the rows from 1, and stops before it stores any if a
	// customer of such a number among the first rows has other features: the table is
	// then not the one that was imported before.
	NumberRefuse Numbering = "refuse"
	// NumberContinue numbers the rows after the highest number in the store.
	NumberContinue Numbering = "continue"
)

// Numberings are all numberings.
var Numberings = []Numbering{NumberReplace, NumberRefuse, NumberContinue}

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
	Numbering Numbering        // of rows without an id; empty: NumberReplace
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
	Positive    int64 `json:"positive"`     // imported rows with the positive label
	Numbered    int64 `json:"numbered"`     // imported rows without an id
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
// call. Rows without a customer id are numbered by their place in the table, so that
// importing the same file again updates the same customers; see Numbering. The first
// real customers replace the generated ones. On an error the report says what was
// imported before it.
func (im *Importer) Import(ctx context.Context, t schema.Table, opts ImportOptions) (ImportReport, error) {
	var report ImportReport
	chunk := make([]Customer, 0, importChunk)
	numbered := map[string]int{} // ids of the chunk that are numbers of rows → lines
	numbers := rowNumbers{numbering: opts.Numbering, store: im.store}
	var ids *idSet
	if opts.UniqueIDs {
		ids = newIDSet()
	}
	flush := func() error {
		if len(chunk) == 0 {
			return nil
		}
		if err := numbers.check(ctx, im.schema, chunk, numbered); err != nil {
			return err
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
				report.Positive += int64(*c.Label)
			}
			if _, ok := numbered[c.ID]; ok {
				report.Numbered++
			}
		}
		if err != nil {
			return err
		}
		chunk = chunk[:0]
		clear(numbered)
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
		customer, violations := im.customer(row)
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
		if customer.ID == "" {
			if customer.ID, err = numbers.of(ctx, report.Rows); err != nil {
				return report, errors.Join(err, flush())
			}
			numbered[customer.ID] = row.Line
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

// rowNumbers numbers rows without an id.
type rowNumbers struct {
	numbering Numbering
	store     CustomerStore
	begun     bool
	after     int64 // the first row's number is one more
}

// of returns the id of the row of a number, counted from 1.
func (n *rowNumbers) of(ctx context.Context, row int64) (string, error) {
	if n.numbering == NumberContinue && !n.begun {
		last, err := n.store.LastNumber(ctx)
		if err != nil {
			return "", err
		}
		n.after, n.begun = last, true
	}
	return strconv.FormatInt(n.after+row, 10), nil
}

// check returns an error if customers with the numbers of the first rows are others.
// numbered has the lines of the rows in the chunk that were numbered.
func (n *rowNumbers) check(ctx context.Context, s *schema.Schema, chunk []Customer, numbered map[string]int) error {
	if n.numbering != NumberRefuse || n.begun || len(numbered) == 0 {
		return nil
	}
	n.begun = true
	stored, err := n.store.Features(ctx, slices.Sorted(maps.Keys(numbered)))
	if err != nil {
		return err
	}
	for _, c := range chunk {
		line, ok := numbered[c.ID]
		old, exists := stored[c.ID]
		if ok && exists && !sameFeatures(s, old, c.Features) {
			return failure.Errorf(failure.Conflict, "line %d: customer %s exists with other values, and the table has no column %s, so its rows are numbered from 1. "+
				"Numbering %s adds them after the highest number; numbering %s puts them in the place of the customers with their numbers",
				line, c.ID, s.ID, NumberContinue, NumberReplace)
		}
	}
	return nil
}

// sameFeatures reports whether stored features are those of an imported row.
func sameFeatures(s *schema.Schema, stored, imported []byte) bool {
	record, err := s.DecodeStored(stored, nil)
	return err == nil && bytes.Equal(s.AppendFeatures(nil, record, true), imported)
}

func (im *Importer) customer(row schema.Row) (Customer, failure.Violations) {
	violations := row.Violations
	if violations.Count() == 0 || !row.Features.IsEmpty() {
		im.schema.AddMissing(&violations, row.Features, "")
	}
	if violations.Count() > 0 {
		return Customer{}, violations
	}
	return Customer{ID: row.CustomerID, Features: im.schema.AppendFeatures(nil, row.Features, true), Label: row.Label}, failure.Violations{}
}
