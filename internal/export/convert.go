package export

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"gateway/internal/schema"
)

// Outputs are the destinations of the training CSV; a nil one is not written. All
// gets every row, Train and Holdout get the rows that Held separates. Under a
// Policy Holdout gets only those that models are compared on. All three have the
// same order.
type Outputs struct {
	All, Train, Holdout io.Writer
}

// Options of Convert. All but TempDir have defaults.
type Options struct {
	// Watermark is the number of the newest outcome that the last model learned
	// from. Rows with a later one are the new labels. Zero counts every outcome.
	Watermark int64
	// Progress is called with the number of items read, from time to time and at
	// the end.
	Progress func(items int64)
	// Policy limits the contributions of apps; nil takes every row as it is.
	Policy *Policy
	// Observe is called with each row that the report counts, once its part is known;
	// nil: none is. It must not keep the row. Its error ends the conversion.
	Observe func(Row) error
	// Memory is the maximum size of the rows kept in memory, in bytes. Further
	// rows go through temporary files of about the size of the CSV. Zero means 64
	// MiB.
	Memory int64
	// TempDir is the directory of temporary files; it is created if necessary.
	// There is no default, because the system's directory may be read-only or
	// small.
	TempDir string
}

const (
	defaultMemory = 64 << 20
	progressEvery = 1000 // items
)

// Row is a row of training data as Options.Observe sees it.
type Row struct {
	Train     bool   // it goes to Outputs.Train
	CSV       []byte // as training data has it: the label, then the encoded columns
	Mapped    []int  // features whose unlisted category became the unknown one
	Defaulted []int  // features that took the schema's default
}

// Convert reads the whole export and writes it as training CSV. It writes nothing
// before every item has been read and every file verified. After a later error the
// outputs are incomplete and must be deleted. It does not close r.
//
// Items that violate the schema are no errors but part of the report. Errors are those
// of Reader.Next, of the outputs, of the temporary files, and of ctx. The report
// returned with an error covers what was read before it.
func Convert(ctx context.Context, schema *schema.Schema, r *Reader, out Outputs, opts Options) (Report, error) {
	report := newReport()
	if opts.TempDir == "" {
		return report, errors.New("export: Options.TempDir is empty")
	}
	if opts.Memory <= 0 {
		opts.Memory = defaultMemory
	}
	if opts.Progress == nil {
		opts.Progress = func(int64) {}
	}
	s := &sorter{budget: opts.Memory, tempDir: opts.TempDir}
	defer s.close()
	counts, err := collect(ctx, schema, r, s, &opts, &report)
	if err != nil {
		return report, err
	}
	w := newWriters(out)
	w.observe = opts.Observe
	if opts.Policy != nil {
		w.ruling, w.from, report.LeftOut = newRuling(opts.Policy, counts), contributions{}, map[string]int64{}
		report.Settled, report.Open = counts.settled, w.ruling.open
	}
	if err := s.each(ctx, func(rec record) error { return w.write(schema, rec, opts.Watermark, &report) }); err != nil {
		return report, err
	}
	if opts.Policy != nil {
		report.Contributions = w.from.list()
	}
	if s.repeats > 0 {
		report.Skipped[duplicateID] = s.repeats
	}
	report.SHA256 = hex.EncodeToString(w.sum.Sum(nil))
	return report, w.flush()
}

// collect reads all items, passes their rows to the sorter, and counts what the
// policy needs to know of all of them.
func collect(ctx context.Context, schema *schema.Schema, r *Reader, s *sorter, opts *Options, report *Report) (counts tally, err error) {
	m := &mapper{schema: schema, ignored: report.ignore}
	var packed []byte
	for {
		if report.Items%progressEvery == 0 {
			if err := ctx.Err(); err != nil {
				return counts, err
			}
			if report.Items > 0 {
				opts.Progress(report.Items)
			}
		}
		it, err := r.Next()
		if err == io.EOF { // not errors.Is: a connection's failure may wrap io.EOF
			opts.Progress(report.Items)
			return counts, nil
		}
		if err != nil {
			return counts, err
		}
		report.Items++
		row, why := m.convert(&it)
		report.Watermark = max(report.Watermark, m.outcome)
		if why != nil {
			report.skip(&it, why)
			continue
		}
		place, held := hashes(row.id)
		if opts.Policy != nil {
			counts.add(opts.Policy, row, held)
		}
		packed = row.pack(packed[:0])
		if err := s.add(record{place, packed}); err != nil {
			return counts, err
		}
	}
}

// writers are the outputs, buffered.
type writers struct {
	all, train, holdout *bufio.Writer // nil: not wanted
	sum                 hash.Hash     // of train, or of all rows
	sumTrain            bool
	row                 row
	ruling              *ruling // nil: every row counts as it is
	from                contributions
	observe             func(Row) error
	heldBy              func(id []byte) bool
}

func newWriters(out Outputs) *writers {
	w := &writers{sum: sha256.New(), sumTrain: out.Train != nil, heldBy: isHeld}
	for _, o := range []struct {
		to   io.Writer
		from **bufio.Writer
	}{{out.All, &w.all}, {out.Train, &w.train}, {out.Holdout, &w.holdout}} {
		if o.to != nil {
			*o.from = bufio.NewWriterSize(o.to, 64<<10)
		}
	}
	return w
}

// write writes one row and counts it.
func (w *writers) write(schema *schema.Schema, rec record, watermark int64, report *Report) error {
	r := &w.row
	r.unpack(rec.data)
	held := w.heldBy(r.id)
	part := w.train
	if held {
		part = w.holdout
	}
	if w.ruling != nil {
		to, wanted := w.rule(r, held, report)
		if !wanted {
			return nil
		}
		part = to
	}
	report.Rows++
	if held {
		report.HoldoutRows++
	} else {
		report.TrainRows++
	}
	if r.csv[0] == '1' {
		report.Positive++
	}
	if r.outcome > watermark {
		report.NewLabels++
	}
	for _, f := range r.mapped {
		report.Mapped[schema.Features[f].Name]++
	}
	for _, f := range r.defaulted {
		report.Defaulted[schema.Features[f].Name]++
	}
	if w.observe != nil {
		err := w.observe(Row{Train: part != nil && part == w.train, CSV: r.csv, Mapped: r.mapped, Defaulted: r.defaulted})
		if err != nil {
			return err
		}
	}
	if !held || !w.sumTrain {
		w.sum.Write(r.csv)
	}
	for _, to := range []*bufio.Writer{w.all, part} {
		if to == nil {
			continue
		}
		if _, err := to.Write(r.csv); err != nil {
			return fmt.Errorf("writing training data: %w", err)
		}
	}
	return nil
}

// rule applies the policy to a row: which outputs it goes to, if any.
func (w *writers) rule(r *row, held bool, report *Report) (part *bufio.Writer, wanted bool) {
	from := w.from.of(r)
	to, skipped, leftOut := w.ruling.decide(r, held)
	if skipped != "" {
		report.Skipped[skipped]++
		from.LeftOut++
		return nil, false
	}
	if leftOut != "" {
		report.LeftOut[leftOut]++
		from.LeftOut++
		from = w.from.of(r) // the imported label's
	}
	from.Rows++
	switch to {
	case toTrain:
		return w.train, true
	case toHoldout:
		report.JudgedRows++
		return w.holdout, true
	}
	return nil, true
}

func (w *writers) flush() error {
	for _, to := range []*bufio.Writer{w.all, w.train, w.holdout} {
		if to == nil {
			continue
		}
		if err := to.Flush(); err != nil {
			return fmt.Errorf("writing training data: %w", err)
		}
	}
	return nil
}
