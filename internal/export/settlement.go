package export

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"

	"gateway/internal/schema"
)

// Group is a number of items of one export that another engine has converted, and that do
// not differ in anything that a policy or a report looks at.
type Group struct {
	Reason   string // why they give no row; empty: they give one
	Held     bool   // see Held
	Made     bool   // from predictions
	Settled  bool   // see Policy
	Outcome  bool   // an outcome set the label
	Label    int    // 0 or 1
	Imported int    // label that was imported before the outcome; -1: none
	Caller   string // who reported the outcome

	Items     int64
	NewLabels int64  // of them, those with an outcome after the watermark
	Watermark int64  // their highest outcome
	First     string // least SHA-256 of their ids, hexadecimal
	Mapped    map[int]int64
	Defaulted map[int]int64 // both by feature
}

// Evidence is a row that the caps of a policy may leave out.
type Evidence struct {
	Hash      string // SHA-256 of the id, hexadecimal
	CSV       []byte // the label, then the encoded columns, without a line end
	Outcome   int64
	Made      bool
	Imported  int
	Caller    string
	Labelled  int64 // when the outcome was received, in microseconds since 1970
	Mapped    []int
	Defaulted []int
}

// Settlement applies a policy to an export that another engine has converted. The engine
// counts the items by group and writes the rows that no cap can leave out. Settle decides
// about the others, in the same order as Convert.
type Settlement struct {
	Report Report // of all items but those that Settle has yet to decide about
	Open   bool   // there are no caps; see Policy
	// The rows that the engine writes by itself.
	Train, Holdout, Neither int64
	// Of its rows in the training part, those with a mapped and with a defaulted value,
	// by feature.
	Mapped, Defaulted map[int]int64
	Undecided         int64 // rows that Settle must be given

	schema    *schema.Schema
	watermark int64
	ruling    *ruling
	from      contributions
	groups    []Group // that the engine writes, in the order of First
}

// NewSettlement takes the groups of an export. watermark is Options.Watermark.
func NewSettlement(s *schema.Schema, groups []Group, p *Policy, watermark int64) *Settlement {
	t := &Settlement{Report: newReport(), schema: s, watermark: watermark, from: contributions{}, Mapped: map[int]int64{}, Defaulted: map[int]int64{}}
	t.Report.LeftOut = map[string]int64{}
	var counts tally
	for i := range groups {
		g := &groups[i]
		t.Report.Items += g.Items
		t.Report.Watermark = max(t.Report.Watermark, g.Watermark)
		if g.Reason != "" {
			t.Report.Skipped[g.Reason] += g.Items
			continue
		}
		counts.addGroup(p, g)
		t.groups = append(t.groups, *g)
	}
	slices.SortStableFunc(t.groups, func(a, b Group) int { return cmp.Compare(a.First, b.First) })
	t.ruling = newRuling(p, counts)
	t.Open = t.ruling.open
	t.Report.Settled, t.Report.Open = counts.settled, t.Open
	for i := range t.groups {
		t.count(&t.groups[i])
	}
	return t
}

// addGroup is tally.add for all rows of a group.
func (t *tally) addGroup(p *Policy, g *Group) {
	if g.Settled && !(g.Made && p.KnownOnly) {
		t.settled += g.Items
	}
	switch {
	case !g.Held || g.Made:
	case g.Settled:
		t.judges[g.Label] += g.Items
	case g.Imported >= 0:
		t.judges[g.Imported] += g.Items
	}
}

// undecided reports whether caps decide about the rows of a group.
func (t *Settlement) undecided(g *Group) bool {
	return !g.Settled && !t.Open && !(g.Made && t.ruling.KnownOnly)
}

// count adds a group to the report, unless Settle decides about its rows.
func (t *Settlement) count(g *Group) {
	r := &t.Report
	switch {
	case t.undecided(g):
		t.Undecided += g.Items
		return
	case g.Made && t.ruling.KnownOnly:
		r.Skipped[madeByApps] += g.Items
		return
	}
	r.Rows += g.Items
	r.NewLabels += g.NewLabels
	if g.Label == 1 {
		r.Positive += g.Items
	}
	for f, n := range g.Mapped {
		addCount(r.Mapped, t.schema.Features[f].Name, n)
	}
	for f, n := range g.Defaulted {
		addCount(r.Defaulted, t.schema.Features[f].Name, n)
	}
	switch {
	case !g.Held:
		r.TrainRows += g.Items
		t.Train += g.Items
		for f, n := range g.Mapped {
			t.Mapped[f] += n
		}
		for f, n := range g.Defaulted {
			t.Defaulted[f] += n
		}
		return
	case t.Open, t.ruling.JudgeAll, !g.Made:
		t.Holdout += g.Items
		r.JudgedRows += g.Items
	default:
		t.Neither += g.Items
	}
	r.HoldoutRows += g.Items
}

func addCount(counts map[string]int64, name string, n int64) {
	if n > 0 {
		counts[name] += n
	}
}

// contribute adds the groups whose first row comes before a hash to the contributions:
// sources beyond the first fifty, in the order of rows, are counted together.
func (t *Settlement) contribute(before string) {
	for len(t.groups) > 0 && (before == "" || t.groups[0].First < before) {
		g := &t.groups[0]
		t.groups = t.groups[1:]
		if t.undecided(g) {
			continue
		}
		r := row{evidence: evidence{made: g.Made, caller: []byte(g.Caller)}}
		if g.Outcome {
			r.outcome = 1
		}
		if from := t.from.of(&r); g.Made && t.ruling.KnownOnly {
			from.LeftOut += g.Items
		} else {
			from.Rows += g.Items
		}
	}
}

// Settle decides about the undecided rows, whose number must be Undecided, and writes
// those that count to the outputs; their order is that of Convert. Options.Observe is
// called with each. It completes the report, but for SHA256 and Examples.
func (t *Settlement) Settle(ctx context.Context, rows iter.Seq2[Evidence, error], out Outputs, opts Options) error {
	s := &sorter{budget: cmp.Or(opts.Memory, defaultMemory), tempDir: opts.TempDir}
	defer s.close()
	var packed []byte
	got := int64(0)
	for e, err := range rows {
		if err != nil {
			return err
		}
		sum, err := hex.DecodeString(e.Hash)
		if err != nil || len(sum) != sha256.Size || len(e.CSV) == 0 {
			return errors.New("a row of the conversion has no hash, or no cells")
		}
		one := row{id: []byte(e.Hash), csv: append(e.CSV, '\n'), outcome: e.Outcome, mapped: e.Mapped, defaulted: e.Defaulted,
			evidence: evidence{made: e.Made, imported: e.Imported, caller: []byte(e.Caller), labelledAt: e.Labelled}}
		packed = one.pack(packed[:0])
		if err := s.add(record{binary.BigEndian.Uint64(sum), packed}); err != nil {
			return err
		}
		got++
	}
	if got != t.Undecided {
		return fmt.Errorf("the conversion wrote %d rows with evidence, and counted %d", got, t.Undecided)
	}
	w := newWriters(out)
	w.observe, w.ruling, w.from, w.heldBy = opts.Observe, t.ruling, t.from, heldByHash
	err := s.each(ctx, func(rec record) error {
		id, _ := cutText(rec.data)
		t.contribute(string(id))
		return w.write(t.schema, rec, t.watermark, &t.Report)
	})
	if err != nil {
		return err
	}
	t.contribute("")
	t.Report.Contributions = t.from.list()
	return w.flush()
}

// heldByHash is hashes for a hash in place of the id.
func heldByHash(hash []byte) bool {
	var sum [sha256.Size]byte
	_, _ = hex.Decode(sum[:], hash) // Settle has checked it
	_, held := split(sum)
	return held
}
