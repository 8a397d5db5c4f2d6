package learn

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// withMissing returns rows of one column x: where it is missing, the label is
// mostly y.
func withMissing(y float64) Dataset {
	d := Dataset{Columns: []string{"x"}}
	for i := range 60 {
		x, label := float64(i%20), 0.0
		if i%20 >= 10 {
			label = 1
		}
		if i >= 40 {
			x, label = math.NaN(), y
		}
		if i == 39 || i == 59 {
			label = 1 - label
		}
		d.X, d.Y = append(d.X, x), append(d.Y, label)
	}
	return d
}

// A missing number goes to the side of the rows whose labels are like its own.
func TestTreesLearnWhereMissingNumbersGo(t *testing.T) {
	for _, y := range []float64{0, 1} {
		data := withMissing(y)
		m := mustTrain(t, data, Options{Algorithm: XGBoost, Hyperparameters: map[string]string{
			"num_round": "1", "max_depth": "1", "eta": "1", "lambda": "0", "gamma": "0", "subsample": "1", "colsample_bytree": "1"}})
		root := m.forest.nodes[0]
		if root.number != 9.5 || (root.column&missingLeft != 0) != (y == 0) {
			t.Fatalf("missing rows are mostly %v: got root %+v, want a cut at 9.5 with them on their side", y, root)
		}
		missing := m.Score([]float64{math.NaN()})
		if low, high := m.Score([]float64{0}), m.Score([]float64{19}); missing != low && y == 0 || missing != high && y == 1 {
			t.Errorf("missing rows are mostly %v: score %v beside %v below the cut and %v above it", y, missing, low, high)
		}
	}
}

// Where being missing is what tells, the trees part it from all numbers.
func TestTreesPartMissingFromAllNumbers(t *testing.T) {
	d := Dataset{Columns: []string{"x"}}
	for i := range 40 {
		x, y := float64(i%7), float64(i%2)
		if i >= 20 {
			x, y = math.NaN(), 1
		}
		d.X, d.Y = append(d.X, x), append(d.Y, y)
	}
	m := mustTrain(t, d, Options{Algorithm: XGBoost, Hyperparameters: map[string]string{
		"num_round": "1", "max_depth": "1", "eta": "1", "lambda": "0", "gamma": "0", "min_child_weight": "0", "subsample": "1", "colsample_bytree": "1", "base_score": "0.5"}})
	if low, high := m.Score([]float64{-1e300}), m.Score([]float64{1e300}); low != high || m.Score([]float64{math.NaN()}) <= low {
		t.Errorf("got %v for the smallest, %v for the largest number and %v for none", low, high, m.Score([]float64{math.NaN()}))
	}
	constant := Dataset{Columns: []string{"x"}, X: []float64{7, math.NaN(), 7, math.NaN()}, Y: []float64{0, 1, 0, 1}}
	m = mustTrain(t, constant, Options{Algorithm: XGBoost, Hyperparameters: map[string]string{"min_child_weight": "0", "gamma": "0"}})
	if known, missing := m.Score([]float64{7}), m.Score([]float64{math.NaN()}); known > 0.3 || missing < 0.7 {
		t.Errorf("a constant or nothing: got scores %v and %v", known, missing)
	}
}

// Training and scoring must agree on where a missing number goes: the margins that
// a booster keeps are those that its forest gives.
func TestScoresOfMissingNumbersAreThoseOfTraining(t *testing.T) {
	data := synthetic(600, 4, []int{3}, 61)
	for k := range data.X {
		if k%5 == 0 {
			data.X[k] = math.NaN()
		}
	}
	table := packedTable(t, data)
	s, _, err := parseBoosting(map[string]string{"num_round": "20", "gamma": "0"}, 3)
	if err != nil {
		t.Fatal(err)
	}
	b := newBooster(newBinned(table, s.bins), table.labels, nil, s)
	for round := range s.rounds {
		b.addTree(round)
	}
	for i := range data.Rows() {
		if got, want := b.forest.margin(data.Row(i)), -math.Log(b.against[i]); !near(got, want, 1e-9) {
			t.Fatalf("row %d: the forest gives %v, training had %v", i, got, want)
		}
	}
}

func TestLinearRefusesMissingNumbers(t *testing.T) {
	data := withMissing(1)
	_, err := Train(t.Context(), data, Options{Algorithm: LinearLearner})
	if err == nil || !errors.Is(err, ErrInput) || !strings.HasPrefix(err.Error(), `training data, column "x": numbers are missing`) {
		t.Errorf("got error %v", err)
	}
	m := mustTrain(t, data, Options{Algorithm: Auto})
	if m.Algorithm() != XGBoost || m.Search().Candidates[0].Problem == "" {
		t.Errorf("got %s by the search %+v, want xgboost and the reason why linear-learner was not tried", m.Algorithm(), m.Search())
	}
}
