package learn

import (
	"math"
	"math/bits"
	"testing"
)

// conditional returns the log-odds of row where only the columns in known are
// known: other decisions go both ways, weighted by cover.
func conditional(f *forest, row []float64, known uint) float64 {
	sum := f.base
	var visit func(at int32) float64
	visit = func(at int32) float64 {
		n := &f.nodes[at]
		if n.column == leafMark {
			return n.number
		}
		column := n.column &^ missingLeft
		if known&(1<<column) != 0 {
			if n.goesLeft(row[column]) {
				return visit(n.left)
			}
			return visit(n.left + 1)
		}
		l, r := float64(f.cover[n.left]), float64(f.cover[n.left+1])
		return (l*visit(n.left) + r*visit(n.left+1)) / (l + r)
	}
	for _, root := range f.roots {
		sum += visit(root)
	}
	return sum
}

// shapleyValues follows the definition: over all sets of other columns, what
// knowing one more adds, weighted by the share of orders in which it comes then.
func shapleyValues(f *forest, row []float64, width int) []float64 {
	out := make([]float64, width)
	factorial := func(n int) float64 { return math.Gamma(float64(n + 1)) }
	for known := range uint(1) << width {
		size := bits.OnesCount(known)
		before := conditional(f, row, known)
		for j := range width {
			if known&(1<<j) == 0 {
				weight := factorial(size) * factorial(width-size-1) / factorial(width)
				out[j] += weight * (conditional(f, row, known|1<<j) - before)
			}
		}
	}
	return out
}

func TestContributionsOfTreesAreShapleyValues(t *testing.T) {
	data := synthetic(400, 4, []int{3}, 71)
	width := len(data.Columns)
	for i := 0; i < data.Rows(); i += 3 {
		data.Row(i)[0] = math.NaN()
	}
	m := mustTrain(t, data, Options{Algorithm: XGBoost, Seed: 2, Hyperparameters: map[string]string{"num_round": "8", "max_depth": "6", "gamma": "0"}})
	if got, want := m.Base(), conditional(m.forest, nil, 0); !near(got, want, 1e-9) {
		t.Errorf("got base %v, want %v", got, want)
	}
	for i := range 20 {
		row := data.Row(i)
		got, want := m.Contributions(row), shapleyValues(m.forest, row, width)
		sum := m.Base()
		for j := range want {
			sum += got[j]
			if !near(got[j], want[j], 1e-9) {
				t.Errorf("row %d, column %d: got %v, want %v", i, j, got[j], want[j])
			}
		}
		if !near(sum, logit(m.Score(row)), 1e-9) {
			t.Errorf("row %d: base and contributions make %v, want %v", i, sum, logit(m.Score(row)))
		}
	}
}
