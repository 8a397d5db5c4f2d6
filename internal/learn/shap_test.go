package learn

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
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
		all := float64(f.cover[at])
		if all == 0 {
			return (visit(n.left) + visit(n.left+1)) / 2
		}
		return float64(f.cover[n.left])/all*visit(n.left) + float64(f.cover[n.left+1])/all*visit(n.left+1)
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

// randomForest has trees with decisions on few columns, so that columns come again on
// the way to a leaf, and nodes that no training data reached.
func randomForest(random *rand.Rand, width, depth int) *forest {
	f := &forest{base: 0.3}
	for range 3 {
		var t tree
		var cover []float32
		var grow func(at, depth int)
		grow = func(at, depth int) {
			t[at] = node{number: random.NormFloat64(), column: leafMark}
			if depth == 0 || random.IntN(8) == 0 {
				return
			}
			t[at].column, t[at].left = int32(random.IntN(width)), int32(len(t))
			if random.IntN(2) == 0 {
				t[at].column |= missingLeft
			}
			left := cover[at] * []float32{0, 0.1, 0.5, 0.7, 1}[random.IntN(5)]
			t, cover = append(t, node{}, node{}), append(cover, left, cover[at]-left)
			grow(int(t[at].left), depth-1)
			grow(int(t[at].left)+1, depth-1)
		}
		t, cover = append(t, node{}), append(cover, 100)
		grow(0, depth)
		f.add(t, cover)
	}
	return f
}

func TestContributionsOfAnyTreesAreShapleyValues(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, size := range []struct{ width, depth int }{{1, 1}, {2, 7}, {4, 4}, {10, 9}} {
		t.Run(fmt.Sprintf("%d columns, %d deep", size.width, size.depth), func(t *testing.T) {
			for range 10 {
				f := randomForest(random, size.width, size.depth)
				row := make([]float64, size.width)
				for j := range row {
					if row[j] = random.NormFloat64(); random.IntN(5) == 0 {
						row[j] = math.NaN()
					}
				}
				want, got := shapleyValues(f, row, size.width), make([]float64, size.width)
				f.explainer().contributions(row, got)
				f.explainer().contributions(row, make([]float64, size.width)) // must leave nothing behind
				again := make([]float64, size.width)
				f.explainer().contributions(row, again)
				sum := f.explainer().mean
				for j := range want {
					sum += got[j]
					if !near(got[j], want[j], 1e-10) || again[j] != got[j] {
						t.Errorf("column %d: got %v, then %v, want %v", j, got[j], again[j], want[j])
					}
				}
				if !near(sum, f.margin(row), 1e-10) {
					t.Errorf("mean and contributions make %v, want %v", sum, f.margin(row))
				}
			}
		})
	}
}

func TestContributionsOfDeepTreesSumToTheLogOdds(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	// One tree that compares 60 columns one after the other.
	const width = 60
	var tr tree
	cover := []float32{1e6}
	for j := range width {
		// The left child is a leaf, the right one the next decision.
		tr = append(tr, node{column: int32(j), left: int32(len(tr) + 1)}, node{number: random.NormFloat64(), column: leafMark})
		cover = append(cover, cover[len(cover)-1]*0.4, cover[len(cover)-1]*0.6)
	}
	tr = append(tr, node{number: 1, column: leafMark})
	f := &forest{}
	f.add(tr, cover)
	if err := tr.check(width); err != nil {
		t.Fatal(err)
	}
	row := make([]float64, width)
	for j := range row {
		row[j] = 1 // goes right
	}
	for _, first := range []int{0, 10, 30, 59} {
		row[first] = -1
		got := make([]float64, width)
		f.explainer().contributions(row, got)
		sum := f.explainer().mean
		for _, x := range got {
			sum += x
		}
		if !near(sum, f.margin(row), 1e-12) {
			t.Errorf("mean and contributions make %v, want %v", sum, f.margin(row))
		}
		row[first] = 1
	}
}

func TestQuadratureIsExact(t *testing.T) {
	for n := 1; n <= 40; n++ {
		at, weight := quadrature(n)
		for degree := range 2 * n {
			got := 0.0
			for q := range at {
				got += weight[q] * math.Pow(at[q], float64(degree))
			}
			if want := 1 / float64(degree+1); !near(got, want, 1e-13) {
				t.Errorf("%d points, t^%d: got %v, want %v", n, degree, got, want)
			}
		}
	}
}
