package export

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// elsewhere converts as an engine that counts groups and writes the rows that no cap can
// leave out, and lets a Settlement decide about the others. The rows are sorted.
func elsewhere(t *testing.T, fsys fstest.MapFS, p Policy, memory int64) (report Report, train, holdout []string) {
	t.Helper()
	r, err := Open(t.Context(), fsys, ".")
	if err != nil {
		t.Fatal(err)
	}
	s := tinySchema(t)
	m := &mapper{schema: s, ignored: func(string) {}}
	var all []Evidence
	var keys []Group
	counted := map[string]*Group{}
	for {
		it, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		row, why := m.convert(&it)
		g, e := Group{Imported: -1}, Evidence{}
		if why != nil {
			g.Reason = why.reason
		} else {
			_, held := hashes(row.id)
			g = Group{Held: held, Made: row.made, Settled: p.hasSettled(row), Outcome: row.outcome > 0, Label: row.label(), Imported: row.imported, Caller: string(row.caller)}
			e = Evidence{Hash: fmt.Sprintf("%X", sha256.Sum256(row.id)), CSV: bytes.TrimSuffix(bytes.Clone(row.csv), []byte("\n")), Outcome: row.outcome, Made: row.made,
				Imported: row.imported, Caller: string(row.caller), Labelled: row.labelledAt, Mapped: slices.Clone(row.mapped), Defaulted: slices.Clone(row.defaulted)}
		}
		key := fmt.Sprintf("%+v", g)
		have := counted[key]
		if have == nil {
			g.Mapped, g.Defaulted, g.First = map[int]int64{}, map[int]int64{}, e.Hash
			have = &g
			counted[key] = have
		}
		have.Items++
		have.Watermark = max(have.Watermark, m.outcome)
		if why != nil {
			continue
		}
		have.First = min(have.First, e.Hash)
		if e.Outcome > 0 {
			have.NewLabels++
		}
		for _, f := range e.Mapped {
			have.Mapped[f]++
		}
		for _, f := range e.Defaulted {
			have.Defaulted[f]++
		}
		all, keys = append(all, e), append(keys, g)
	}
	var groups []Group
	for _, g := range counted {
		groups = append(groups, *g)
	}
	settlement := NewSettlement(s, groups, &p, 0)
	parts := map[bool]*bytes.Buffer{false: {}, true: {}}
	direct := map[string]int64{}
	var evidence []Evidence
	for i, e := range all {
		g := keys[i]
		switch {
		case g.Made && p.KnownOnly:
		case !g.Settled && !settlement.Open:
			evidence = append(evidence, e)
		case g.Held && g.Made && !settlement.Open && !p.JudgeAll:
			direct["neither"]++
		default:
			direct[fmt.Sprint(g.Held)]++
			parts[g.Held].Write(append(e.CSV, '\n'))
		}
	}
	if direct["neither"] != settlement.Neither || direct["true"] != settlement.Holdout || direct["false"] != settlement.Train || int64(len(evidence)) != settlement.Undecided {
		t.Errorf("the settlement expects %d, %d, %d and %d rows; there are %v and %d", settlement.Train, settlement.Holdout, settlement.Neither, settlement.Undecided, direct, len(evidence))
	}
	slices.Reverse(evidence) // in any order
	err = settlement.Settle(t.Context(), func(yield func(Evidence, error) bool) {
		for _, e := range evidence {
			if !yield(e, nil) {
				return
			}
		}
	}, Outputs{Train: parts[false], Holdout: parts[true]}, Options{TempDir: t.TempDir(), Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	return settlement.Report, sortedFields(parts[false].String()), sortedFields(parts[true].String())
}

func sortedFields(text string) []string {
	rows := strings.Fields(text)
	slices.Sort(rows)
	return rows
}

// checkElsewhere holds a Settlement to what Convert has made of the same customers.
func (c *crowd) checkElsewhere(t *testing.T, fsys fstest.MapFS, p Policy, want Report, train, holdout string) {
	t.Helper()
	got, a, b := elsewhere(t, fsys, p, 20_000)
	want.SHA256, want.Ignored, want.Examples, got.Ignored, got.Examples = "", nil, nil, nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a settlement reports something else: %s", diff)
	}
	if !slices.Equal(a, sortedFields(train)) || !slices.Equal(b, sortedFields(holdout)) {
		t.Errorf("a settlement writes other rows: %d and %d", len(a), len(b))
	}
}

// TestASettlementNeedsAllItsRows: a part that is lost must not become a model.
func TestASettlementNeedsAllItsRows(t *testing.T) {
	group := Group{Items: 2, Imported: -1, First: "00", Outcome: true, Caller: "app"}
	imported := Group{Items: 4000, Imported: -1, First: "01", Settled: true, Held: true}
	positive := imported
	positive.Label = 1
	s := NewSettlement(tinySchema(t), []Group{group, imported, positive}, &Policy{Now: judgement}, 0)
	if s.Open || s.Undecided != 2 || s.Holdout != 8000 {
		t.Fatalf("got %+v", s)
	}
	none := func(func(Evidence, error) bool) {}
	if err := s.Settle(t.Context(), none, Outputs{Train: io.Discard, Holdout: io.Discard}, Options{TempDir: t.TempDir()}); err == nil ||
		!strings.Contains(err.Error(), "wrote 0 rows with evidence, and counted 2") {
		t.Errorf("got %v", err)
	}
}
