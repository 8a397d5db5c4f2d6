package learn

import (
	"math"
	"testing"
)

// The mean is used where candidates err in different rows, and not where it gains
// little or nothing.
func TestMeanOfCandidates(t *testing.T) {
	labels := []float64{1, 1, 1, 0, 0, 0}
	candidate := func(depth int, margins ...float64) *tried {
		return &tried{boosting: []boostSettings{{depth: depth}}, margins: margins, logLoss: marginLoss(margins, labels)}
	}
	first := candidate(1, 2, 2, -1, -2, -2, -2)
	other := candidate(2, 2, -1, 2, -2, -2, -1.9)
	poor := candidate(3, -3, -3, -3, 3, 3, 3)
	for name, tc := range map[string]struct {
		all    []*tried
		depths []int // of the members
		means  int   // recorded
	}{
		"one":              {all: []*tried{first}, depths: []int{1}},
		"two that differ":  {all: []*tried{other, first}, depths: []int{1, 2}, means: 1},
		"and a third":      {all: []*tried{poor, other, first}, depths: []int{1, 2}, means: 2},
		"two that are one": {all: []*tried{first, candidate(2, first.margins...)}, depths: []int{1}, means: 1},
		"a poor second":    {all: []*tried{poor, first}, depths: []int{1}, means: 1},
	} {
		tune := &tuner{data: &Table{labels: labels}, record: &Search{}}
		got := tune.average(first, tc.all)
		var depths []int
		for _, s := range got.boosting {
			depths = append(depths, s.depth)
		}
		if len(depths) != len(tc.depths) || depths[0] != tc.depths[0] || depths[len(depths)-1] != tc.depths[len(tc.depths)-1] {
			t.Errorf("%s: the mean is of the candidates %v, want %v", name, depths, tc.depths)
		}
		if want := marginLoss(got.margins, labels); math.Abs(got.logLoss-want) > 1e-15 {
			t.Errorf("%s: log loss %v, want that of its log-odds, %v", name, got.logLoss, want)
		}
		if len(tune.record.Candidates) != tc.means {
			t.Errorf("%s: recorded %+v, want %d means", name, tune.record.Candidates, tc.means)
		}
		for n, c := range tune.record.Candidates {
			if c.MeanOf != n+2 || c.Hyperparameters == nil {
				t.Errorf("%s: recorded %+v as mean %d", name, c, n)
			}
		}
	}
}

// A forest that is a mean has the mean of the log-odds of its members, and can be
// explained.
func TestMeanForest(t *testing.T) {
	data := synthetic(400, 4, []int{4, 2}, 61)
	table, err := data.table()
	if err != nil {
		t.Fatal(err)
	}
	var settings []boostSettings
	for _, h := range []map[string]string{{"num_round": "7"}, {"num_round": "12", "max_depth": "2"}, {"num_round": "3", "base_score": "0.3"}} {
		s, _, err := parseBoosting(h, 3)
		if err != nil {
			t.Fatal(err)
		}
		settings = append(settings, s)
	}
	m := &Model{columns: data.Columns}
	if err := m.become(t.Context(), table, mixture{boosted: 2, shift: 0.25}, nil, &tried{boosting: settings}); err != nil {
		t.Fatal(err)
	}
	for _, tr := range m.forest.trees() {
		if err := tr.check(len(data.Columns)); err != nil {
			t.Error(err)
		}
	}
	if n := len(m.forest.roots); n != 22 {
		t.Errorf("the mean of 7, 12 and 3 trees has %d", n)
	}
	for i := range data.Rows() {
		row := data.Row(i)
		want := 0.25
		for _, s := range settings {
			one, err := trainForest(t.Context(), newBinned(table, s.bins), table.labels, s, nil)
			if err != nil {
				t.Fatal(err)
			}
			want += 2 * one.margin(row) / 3
		}
		got := m.margin(row)
		sum := m.Base()
		for _, c := range m.Contributions(row) {
			sum += c
		}
		if math.Abs(got-want) > 1e-9 || math.Abs(sum-got) > 1e-9 {
			t.Fatalf("row %d: log-odds %v, want %v; contributions sum to %v", i, got, want, sum)
		}
		if i == 20 {
			break
		}
	}
}
