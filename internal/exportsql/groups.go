package exportsql

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"gateway/internal/export"
	"gateway/internal/schema"
)

// Group reads a row of the result of Counts. A nil cell is NULL.
func (p *Plan) Group(row []*string) (g export.Group, err error) {
	flags := p.flags()
	if len(row) != columnsOfCounts+len(flags) {
		return g, fmt.Errorf("a row of counts has %d columns, not %d", len(row), columnsOfCounts+len(flags))
	}
	r := reader{row: row}
	g = export.Group{
		Reason: r.text(columnReason), Held: r.flag(columnHeld), Made: r.flag(columnMade), Settled: r.flag(columnSettled), Outcome: r.flag(columnOutcome),
		Label: int(r.number(columnLabel)), Imported: int(r.number(columnImported)), Caller: r.text(columnCaller), Items: r.number(columnItems),
		NewLabels: r.number(columnNewLabels), Watermark: r.number(columnWatermark), First: r.text(columnFirst),
		Mapped: map[int]int64{}, Defaulted: map[int]int64{},
	}
	for i, flag := range flags {
		feature, _ := strconv.Atoi(flag[1:])
		counts := g.Mapped
		if flag[0] == 'g' {
			counts = g.Defaulted
		}
		counts[feature] = r.number(columnsOfCounts + i)
	}
	if r.err == nil && g.Reason == "" && g.First == "" {
		r.err = errors.New("a group of rows has no hash")
	}
	return g, r.err
}

// reader reads cells; absent ones are zero.
type reader struct {
	row []*string
	err error
}

func (r *reader) text(i int) string {
	if r.row[i] == nil {
		return ""
	}
	return *r.row[i]
}

func (r *reader) flag(i int) bool { return r.text(i) == "true" }

func (r *reader) number(i int) int64 {
	text := r.text(i)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("column %d of a row of counts is not a number", i+1)
	}
	return n
}

// Evidence reads a line that UnloadEvidence wrote.
func (p *Plan) ReadEvidence(line []byte) (e export.Evidence, err error) {
	var row struct {
		Hash     string `json:"hash"`
		Outcome  int64  `json:"outcome"`
		Made     bool   `json:"made"`
		Imported int    `json:"imported"`
		Caller   string `json:"caller"`
		Labelled int64  `json:"labelled"`
		Flags    string `json:"flags"`
		Cells    string `json:"cells"`
	}
	if err := json.Unmarshal(line, &row); err != nil {
		return e, fmt.Errorf("a row with evidence cannot be read: %w", err)
	}
	flags := p.flags()
	if len(row.Flags) != len(flags) || strings.Count(row.Cells, ",") != p.schema.Width() {
		return e, fmt.Errorf("a row with evidence has %d flags and %d cells, not %d and %d",
			len(row.Flags), strings.Count(row.Cells, ",")+1, len(flags), p.schema.Width()+1)
	}
	e = export.Evidence{Hash: row.Hash, CSV: []byte(row.Cells), Outcome: row.Outcome, Made: row.Made, Imported: row.Imported,
		Caller: row.Caller, Labelled: row.Labelled}
	for i, flag := range flags {
		if row.Flags[i] != '1' {
			continue
		}
		feature, _ := strconv.Atoi(flag[1:])
		if flag[0] == 'g' {
			e.Defaulted = append(e.Defaulted, feature)
		} else {
			e.Mapped = append(e.Mapped, feature)
		}
	}
	return e, nil
}

// CanonicalRow appends a row of training data with its numbers as package schema writes
// them, with a line end. Rows of the same numbers become the same text.
func CanonicalRow(dst []byte, s *schema.Schema, row []byte) ([]byte, error) {
	label, rest, _ := strings.Cut(strings.TrimSpace(string(row)), ",")
	vector, err := s.ParseCSV([]byte(rest))
	if err != nil || label != "0" && label != "1" {
		return dst, fmt.Errorf("a row of the conversion cannot be read: %w", errors.Join(err, labelError(label)))
	}
	return append(schema.AppendTrainingCSV(dst, int(label[0]-'0'), vector), '\n'), nil
}

func labelError(label string) error {
	if label == "0" || label == "1" {
		return nil
	}
	return errors.New("its first cell is not a label")
}
