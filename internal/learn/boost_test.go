package learn

import (
	"cmp"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// One tree of one split, by hand. From a base score of ½ every row has
// g = ½ − y and h = ¼. Of the three cuts of x, the best parts {1, 2} from
// {3, 4}: left g = 1, h = ½, so with lambda = 1 the leaf is −1/(½+1) = −⅔, and
// the right one ⅔ by symmetry.
func TestOneSplitByHand(t *testing.T) {
	data := Dataset{Columns: []string{"x"}, X: []float64{1, 2, 3, 4}, Y: []float64{0, 0, 1, 1}}
	m := mustTrain(t, data, Options{Algorithm: XGBoost, Hyperparameters: map[string]string{
		"num_round": "1", "max_depth": "1", "eta": "0.5", "lambda": "1", "gamma": "0", "min_child_weight": "0",
		"subsample": "1", "colsample_bytree": "1", "base_score": "0.5"}})
	want := tree{{number: 2.5, column: 0, left: 1}, {number: -1. / 3, column: leafMark}, {number: 1. / 3, column: leafMark}}
	if got := m.forest.trees(); len(got) != 1 || !slices.Equal(got[0], want) {
		t.Errorf("got trees %+v, want one: %+v", got, want)
	}
	if got, want := m.Score([]float64{2.4}), 1/(1+math.Exp(1./3)); !near(got, want, 1e-15) {
		t.Errorf("left of the cut: got %v, want %v", got, want)
	}
	if got, want := m.Score([]float64{2.5}), 1/(1+math.Exp(-1./3)); !near(got, want, 1e-15) {
		t.Errorf("on the cut: got %v, want %v", got, want)
	}
	if _, _, ok := m.Coefficients(); ok {
		t.Error("boosted trees have coefficients")
	}
}

// Numbers worked out by hand from the formulas of the paper: with
// left = (3, 2), right = (−5, 4), lambda = 1, alpha = ½:
// quality = 2.5²/3, 4.5²/5 and, for the parent (−2, 6), 1.5²/7.
func TestGain(t *testing.T) {
	s := boostSettings{lambda: 1, alpha: 0.5}
	left, right := sums{3, 2}, sums{-5, 4}
	for _, c := range []struct {
		sums           sums
		quality, value float64
	}{
		{left, 6.25 / 3, -2.5 / 3},
		{right, 20.25 / 5, 4.5 / 5},
		{left.plus(right), 2.25 / 7, 1.5 / 7},
	} {
		if got := s.quality(c.sums); !near(got, c.quality, 1e-15) {
			t.Errorf("quality of %v: got %v, want %v", c.sums, got, c.quality)
		}
		if got := s.leafValue(c.sums); !near(got, c.value, 1e-15) {
			t.Errorf("value of %v: got %v, want %v", c.sums, got, c.value)
		}
	}
	gain := 6.25/3 + 20.25/5 - 2.25/7
	groups := []*group{{columns: []int{0}, cuts: []float64{1}}}
	n := &openNode{total: left.plus(right), histogram: []sums{left, right}}
	for name, c := range map[string]struct {
		change func(s *boostSettings)
		want   float64
	}{
		"as it is":             {func(*boostSettings) {}, gain},
		"gamma just below":     {func(s *boostSettings) { s.gamma = gain - 1e-9 }, gain},
		"gamma just above":     {func(s *boostSettings) { s.gamma = gain + 1e-9 }, 0},
		"child just not light": {func(s *boostSettings) { s.minChildWeight = 2 }, gain},
		"child too light":      {func(s *boostSettings) { s.minChildWeight = 2.1 }, 0},
	} {
		s := s
		c.change(&s)
		if got := s.bestSplit(groups, []bool{true}, n); !near(got.gain, c.want, 1e-12) {
			t.Errorf("%s: got gain %v, want %v", name, got.gain, c.want)
		}
	}
	if got := s.bestSplit(groups, []bool{false}, n); got.gain != 0 {
		t.Errorf("split on a column that was not sampled: %+v", got)
	}
}

// plainBoosting is gradient boosting as the paper writes it: no bins, no
// groups, no histograms, every cut of every column tried on the rows. It
// returns the score of every row.
func plainBoosting(d Dataset, s boostSettings) []float64 {
	margins := make([]float64, d.Rows())
	for i := range margins {
		margins[i] = s.base(d.Y)
	}
	derivatives := make([]sums, d.Rows())
	total := func(rows []int) (t sums) {
		for _, i := range rows {
			t = t.plus(derivatives[i])
		}
		return t
	}
	var grow func(rows []int, depth int)
	grow = func(rows []int, depth int) {
		all := total(rows)
		best := s.gamma
		var bestLeft, bestRight []int
		for j := range d.Columns {
			if depth == s.depth {
				break
			}
			slices.SortStableFunc(rows, func(a, b int) int { return cmp.Compare(d.Row(a)[j], d.Row(b)[j]) })
			for k := 1; k < len(rows); k++ {
				if d.Row(rows[k])[j] == d.Row(rows[k-1])[j] {
					continue
				}
				l, r := total(rows[:k]), total(rows[k:])
				if l.h < s.minChildWeight || r.h < s.minChildWeight {
					continue
				}
				if gain := s.quality(l) + s.quality(r) - s.quality(all); gain > best+1e-9 {
					best, bestLeft, bestRight = gain, slices.Clone(rows[:k]), slices.Clone(rows[k:])
				}
			}
		}
		if bestLeft == nil {
			for _, i := range rows {
				margins[i] += s.eta * s.leafValue(all)
			}
			return
		}
		grow(bestLeft, depth+1)
		grow(bestRight, depth+1)
	}
	for range s.rounds {
		rows := make([]int, d.Rows())
		for i, m := range margins {
			p, w := sigmoid(m), 1.0
			if d.Y[i] == 1 {
				w = s.positiveWeight
			}
			rows[i], derivatives[i] = i, sums{w * (p - d.Y[i]), w * p * (1 - p)}
		}
		grow(rows, 0)
	}
	for i, m := range margins {
		margins[i] = sigmoid(m)
	}
	return margins
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestHistogramsFindTheSplitsOfAPlainSearch(t *testing.T) {
	data := synthetic(150, 3, []int{4, 2, 3}, 11)
	given := map[string]string{
		"num_round": "4", "max_depth": "4", "eta": "0.3", "lambda": "1.5", "alpha": "0.1", "gamma": "0.05",
		"min_child_weight": "0.4", "subsample": "1", "colsample_bytree": "1", "scale_pos_weight": "2"}
	s, _, err := parseBoosting(given, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := mustTrain(t, data, Options{Algorithm: XGBoost, Hyperparameters: given})
	want := plainBoosting(data, s)
	for i, got := range scores(m, data) {
		if !near(got, want[i], 1e-9) {
			t.Errorf("row %d: got score %v, want %v", i, got, want[i])
		}
	}
}

func TestIndicatorsOfACategoryShareAGroup(t *testing.T) {
	data := synthetic(400, 2, []int{4, 3, 2}, 12)
	b := newBinned(packedTable(t, data), 256)
	var indicators [][]int
	for _, g := range b.groups {
		if g.indicator {
			indicators = append(indicators, g.columns)
		}
	}
	want := [][]int{{2, 3, 4, 5}, {6, 7, 8}, {9, 10}}
	if !slices.EqualFunc(indicators, want, slices.Equal) {
		t.Errorf("got groups of indicators %v, want %v", indicators, want)
	}
	// Reading a row's bins gives back which indicators are on.
	for i := range data.Rows() {
		row := data.Row(i)
		for k, g := range b.groups {
			bin := int(b.bin[i*len(b.groups)+k])
			for n, j := range g.columns {
				on := g.indicator && bin == n+1 || !g.indicator && bin > 0
				if g.indicator && on != (row[j] == 1) {
					t.Fatalf("row %d: bin %d says column %d is %v, the data %v", i, bin, j, on, row[j])
				}
				if !g.indicator && (bin > 0 && row[j] < g.cuts[bin-1] || bin < len(g.cuts) && row[j] >= g.cuts[bin]) {
					t.Fatalf("row %d: %v is not in bin %d of column %d", i, row[j], bin, j)
				}
			}
		}
	}
}

func TestQuantileCuts(t *testing.T) {
	for name, c := range map[string]struct {
		sorted []float64
		most   int
		want   []float64
	}{
		"each value its bin":      {[]float64{1, 2, 2, 4}, 4, []float64{1.5, 3}},
		"equal shares":            {[]float64{1, 2, 3, 4, 5, 6, 7, 8}, 4, []float64{2.5, 4.5, 6.5}},
		"a value of many rows":    {[]float64{1, 1, 1, 1, 1, 1, 2, 3, 4, 5}, 3, []float64{1.5, 3.5}},
		"the last bin is closed":  {[]float64{1, 2, 3}, 2, []float64{2.5}},
		"no room between":         {[]float64{1, math.Nextafter(1, 2)}, 9, []float64{math.Nextafter(1, 2)}},
		"opposite ends":           {[]float64{-math.MaxFloat64, math.MaxFloat64}, 9, []float64{0}},
		"all the same, no cuts":   {[]float64{3, 3, 3}, 9, nil},
		"smallest of all numbers": {[]float64{0, 5e-324}, 9, []float64{5e-324}},
	} {
		if got := quantileCuts(c.sorted, c.most); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestBoostingIsTheSameOnAnyNumberOfProcessors(t *testing.T) {
	data := synthetic(700, 5, []int{4, 2}, 13)
	o := Options{Algorithm: XGBoost, Seed: 5, Hyperparameters: map[string]string{
		"num_round": "15", "subsample": "0.7", "colsample_bytree": "0.7"}}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	want := encoded(t, mustTrain(t, data, o))
	for _, processors := range []int{2, 3, 8} {
		runtime.GOMAXPROCS(processors)
		if got := encoded(t, mustTrain(t, data, o)); got != want {
			t.Errorf("%d processors give another model", processors)
		}
	}
	o.Seed = 6
	if encoded(t, mustTrain(t, data, o)) == want {
		t.Error("another seed gives the same sample")
	}
	o.Hyperparameters["seed"] = "5"
	if encoded(t, mustTrain(t, data, o)) != want {
		t.Error("the hyperparameter seed is not used instead of the option")
	}
}

func TestSeedChangesNothingWithoutSampling(t *testing.T) {
	data := synthetic(300, 3, []int{3}, 14)
	o := Options{Algorithm: XGBoost, Seed: 1, Hyperparameters: map[string]string{
		"num_round": "5", "subsample": "1", "colsample_bytree": "1"}}
	want := encoded(t, mustTrain(t, data, o))
	o.Seed = 2
	if encoded(t, mustTrain(t, data, o)) != want {
		t.Error("another seed gives another model")
	}
}

func TestBoostingStaysFinite(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	data := Dataset{Columns: []string{"huge", "tiny", "constant", "separates"}}
	for i := range 60 {
		data.X = append(data.X, (random.Float64()-0.5)*math.MaxFloat64, random.Float64()*1e-310, 7, float64(i))
		data.Y = append(data.Y, float64(boolToInt(i >= 20)))
	}
	for _, given := range []map[string]string{
		{"lambda": "0", "min_child_weight": "0", "gamma": "0", "eta": "1", "num_round": "60"},
		{"max_bin": "2"},
		{"scale_pos_weight": "1e300"},
		{"scale_pos_weight": "1e-300"},
		{"base_score": "1e-300"},
		{"lambda": "1e300", "alpha": "1e300"},
		{"subsample": "1e-9", "colsample_bytree": "1e-9"},
	} {
		m := mustTrain(t, data, Options{Algorithm: XGBoost, Hyperparameters: given})
		for i, p := range scores(m, data) {
			if !(p >= 0 && p <= 1) {
				t.Errorf("%v: score of row %d is %v", given, i, p)
			}
		}
		for _, n := range m.forest.nodes {
			if !finite(n.number) {
				t.Errorf("%v: a node holds %v", given, n.number)
			}
		}
	}
}

func TestBoostingWithoutAColumnToSplit(t *testing.T) {
	data := Dataset{Columns: []string{"constant"}, X: []float64{7, 7, 7, 7}, Y: []float64{0, 0, 0, 1}}
	m := mustTrain(t, data, Options{Algorithm: XGBoost, Hyperparameters: map[string]string{"subsample": "1"}})
	if got := m.Score([]float64{7}); !near(got, 0.25, 1e-12) {
		t.Errorf("got score %v, want the base rate 0.25", got)
	}
}

func TestSampleIsAFairShareAndDiffersByRound(t *testing.T) {
	const rows, columns = 2000, 40
	settings := boostSettings{subsample: 0.3, columnSample: 0.6, seed: 9}
	b := &booster{settings: settings, grower: newGrower(&binned{rows: rows, columns: columns}, settings)}
	draw := func(round uint64) (rows []int, columns []bool) {
		for i := range b.grower.derivatives {
			b.grower.derivatives[i] = sums{1, 1}
		}
		b.sample(round)
		for i, d := range b.grower.derivatives {
			if d.h == 1 {
				rows = append(rows, i)
			}
		}
		return rows, slices.Clone(b.grower.sampled)
	}
	firstRows, firstColumns := draw(0)
	if share := float64(len(firstRows)) / rows; math.Abs(share-0.3) > 0.05 {
		t.Errorf("sampled a share of %v of the rows, want 0.3", share)
	}
	count := 0
	for _, sampled := range firstColumns {
		count += boolToInt(sampled)
	}
	if count != 24 {
		t.Errorf("sampled %d of 40 columns, want 24", count)
	}
	secondRows, secondColumns := draw(1)
	if slices.Equal(firstRows, secondRows) || slices.Equal(firstColumns, secondColumns) {
		t.Error("two rounds have the same sample")
	}
	againRows, againColumns := draw(0)
	if !slices.Equal(firstRows, againRows) || !slices.Equal(firstColumns, againColumns) {
		t.Error("the same round has another sample")
	}
}

func TestTheFirstOfEqualSplitsWins(t *testing.T) {
	data := Dataset{Columns: make([]string, 3*groupBlock)}
	for i := range 30 {
		data.X = append(data.X, slices.Repeat([]float64{float64(i % 5)}, len(data.Columns))...)
		data.Y = append(data.Y, float64(boolToInt(i%5 > 2)))
	}
	m := mustTrain(t, data, Options{Algorithm: XGBoost, Hyperparameters: map[string]string{
		"num_round": "1", "colsample_bytree": "1"}})
	if root := m.forest.nodes[0]; root.column != 0 {
		t.Errorf("of columns that are all the same, column %d was chosen", root.column)
	}
}

func TestCutColumnPutsACutsOwnValueAboveIt(t *testing.T) {
	next := math.Nextafter(1, 2)
	c := cutColumn([]float64{2, next, 1, 0}, 9)
	if want := []float64{0.5, next, between(next, 2)}; !slices.Equal(c.cuts, want) {
		t.Errorf("got cuts %v, want %v", c.cuts, want)
	}
	if want := []uint16{3, 2, 1, 0}; !slices.Equal(c.bin, want) {
		t.Errorf("got bins %v, want %v", c.bin, want)
	}
}
