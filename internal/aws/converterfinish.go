package aws

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/bits"
	"path"

	"gateway/internal/export"
	"gateway/internal/exportsql"
	"gateway/internal/modelswap"
)

// undecidedFile has the training rows that Settle has decided about, beside those of the
// query.
const undecidedFile = "undecided.csv"

// finish reads the rows back, checks their number and their form, decides about the rows
// under a cap, and writes the held-out rows as one file. Run again, it writes the same.
func (x *conversion) finish(ctx context.Context, s *export.Settlement) (out modelswap.Conversion, err error) {
	var sum rowSum
	train, holdout := x.part(exportsql.Train), path.Join(x.job.Folder, "holdout.csv")
	err = x.rows(ctx, train, s.Train, func(row []byte) error {
		sum.add(row)
		return x.job.Observe(export.Row{Train: true, CSV: row})
	})
	if err != nil {
		return out, err
	}
	observe := func(row []byte) error { return x.job.Observe(export.Row{CSV: row}) }
	if err := x.rows(ctx, x.part(exportsql.Neither), s.Neither, observe); err != nil {
		return out, err
	}
	err = x.files.WriteFile(ctx, holdout, func(h io.Writer) error {
		err := x.rows(ctx, x.part(exportsql.Holdout), s.Holdout, func(row []byte) error {
			if _, err := h.Write(row); err != nil {
				return err
			}
			return observe(row)
		})
		if err != nil {
			return err
		}
		opts := export.Options{TempDir: x.job.TempDir, Observe: func(row export.Row) error {
			if row.Train {
				sum.add(row.CSV)
			}
			return x.job.Observe(row)
		}}
		if s.Undecided == 0 {
			return s.Settle(ctx, x.evidence(ctx, s), export.Outputs{Train: io.Discard, Holdout: h}, opts)
		}
		return x.files.WriteFile(ctx, path.Join(train, undecidedFile), func(t io.Writer) error {
			return s.Settle(ctx, x.evidence(ctx, s), export.Outputs{Train: t, Holdout: h}, opts)
		})
	})
	if err != nil {
		return out, err
	}
	out = modelswap.Conversion{Report: s.Report, Train: train, Holdout: holdout, Mapped: s.Mapped, Defaulted: s.Defaulted}
	out.Report.SHA256 = sum.text()
	return out, nil
}

// part is the folder of the files of a part.
func (x *conversion) part(name string) string { return path.Join(x.output(stageRows), "part="+name) }

// rows calls each with every row of a folder that the query wrote, as package schema
// writes it. It fails if their number is not want.
func (x *conversion) rows(ctx context.Context, folder string, want int64, each func(row []byte) error) error {
	var row []byte
	got := int64(0)
	for line, err := range x.lines(ctx, folder) {
		if err != nil {
			return err
		}
		if row, err = exportsql.CanonicalRow(row[:0], x.schema, line); err != nil {
			return &modelswap.Fault{Class: modelswap.Bug, Err: fmt.Errorf("%s: %w", x.files.uri(folder), err)}
		}
		got++
		if err := each(row); err != nil {
			return err
		}
	}
	if got != want {
		return &modelswap.Fault{Class: modelswap.Input, Err: fmt.Errorf("%s has %d rows; the counts of the export say %d", x.files.uri(folder), got, want)}
	}
	return nil
}

// evidence returns the rows that Settle decides about.
func (x *conversion) evidence(ctx context.Context, s *export.Settlement) iter.Seq2[export.Evidence, error] {
	return func(yield func(export.Evidence, error) bool) {
		if s.Undecided == 0 {
			return
		}
		for line, err := range x.lines(ctx, x.output(stageEvidence)) {
			var e export.Evidence
			if err == nil {
				e, err = x.plan.ReadEvidence(line)
			}
			if err == nil {
				e.CSV, err = exportsql.CanonicalRow(nil, x.schema, e.CSV)
				e.CSV = bytes.TrimSuffix(e.CSV, []byte("\n"))
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// maxRow is the maximum length of a line that a query wrote, in bytes.
const maxRow = 8 << 20

// lines returns the lines of all files of a folder but undecidedFile. A folder without
// files does not exist.
func (x *conversion) lines(ctx context.Context, folder string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		fsys := x.files.FS(ctx)
		entries, err := fs.ReadDir(fsys, folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(nil, err)
			return
		}
		for _, e := range entries {
			if e.IsDir() || e.Name() == undecidedFile {
				continue
			}
			for line, err := range fileLines(fsys, path.Join(folder, e.Name())) {
				if !yield(line, err) || err != nil {
					return
				}
			}
		}
	}
}

// fileLines returns the lines of a file, which may be compressed with gzip.
func fileLines(fsys fs.FS, name string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		f, err := fsys.Open(name)
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close()
		stored := bufio.NewReaderSize(f, 256<<10)
		text := io.Reader(stored)
		if magic, _ := stored.Peek(2); string(magic) == "\x1f\x8b" {
			if text, err = gzip.NewReader(stored); err != nil {
				yield(nil, fmt.Errorf("%s: %w", name, err))
				return
			}
		}
		lines := bufio.NewScanner(text)
		lines.Buffer(make([]byte, 64<<10), maxRow)
		for lines.Scan() {
			if len(lines.Bytes()) > 0 && !yield(lines.Bytes(), nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(nil, fmt.Errorf("%s: %w", name, err))
		}
	}
}

// rowSum is the sum of the SHA-256 of rows, modulo 2^256. It does not depend on their
// order, which differs between two runs of a query.
type rowSum [4]uint64

func (s *rowSum) add(row []byte) {
	sum := sha256.Sum256(bytes.TrimSuffix(row, []byte("\n")))
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], binary.LittleEndian.Uint64(sum[8*i:]), carry)
	}
}

func (s *rowSum) text() string {
	var text []byte
	for _, word := range s {
		text = binary.LittleEndian.AppendUint64(text, word)
	}
	return hex.EncodeToString(text)
}
