package learn

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
)

func algorithms() []Algorithm { return []Algorithm{LinearLearner, XGBoost} }

func TestTrainRefusesData(t *testing.T) {
	columns := []string{"a", "b"}
	for name, c := range map[string]struct {
		data Dataset
		want string
	}{
		"no columns":       {Dataset{Y: []float64{0, 1}}, "training data has no columns"},
		"no rows":          {Dataset{Columns: columns}, "training data has no rows"},
		"numbers missing":  {Dataset{columns, []float64{1, 2, 3}, []float64{0, 1}}, "training data has 3 numbers; 2 rows of 2 columns need 4"},
		"no positives":     {Dataset{columns, []float64{1, 2, 3, 4}, []float64{0, 0}}, "training data has one class only: all 2 labels are 0"},
		"no negatives":     {Dataset{columns, []float64{1, 2, 3, 4}, []float64{1, 1}}, "training data has one class only: all 2 labels are 1"},
		"half a label":     {Dataset{columns, []float64{1, 2, 3, 4}, []float64{1, 0.5}}, "training data, row 2: label is 0.5, not 0 or 1"},
		"label is NaN":     {Dataset{columns, []float64{1, 2, 3, 4}, []float64{1, math.NaN()}}, "training data, row 2: label is NaN, not 0 or 1"},
		"number is no end": {Dataset{columns, []float64{math.Inf(-1), 2, 3, 4}, []float64{1, 0}}, `training data, row 1, column "a": -Inf is not a finite number`},
	} {
		for _, algorithm := range algorithms() {
			_, err := Train(context.Background(), c.data, Options{Algorithm: algorithm})
			if err == nil || err.Error() != c.want || !errors.Is(err, ErrInput) {
				t.Errorf("%s, %s: got error %v, want %q matching ErrInput", name, algorithm, err, c.want)
			}
		}
	}
}

func TestTrainStopsWhenTold(t *testing.T) {
	for _, algorithm := range algorithms() {
		ctx, cancel := context.WithCancel(context.Background())
		calls := 0
		_, err := Train(ctx, synthetic(200, 3, nil, 21), Options{Algorithm: algorithm, Progress: func(int, int) {
			calls++
			cancel()
		}})
		if !errors.Is(err, context.Canceled) || errors.Is(err, ErrInput) || calls != 1 {
			t.Errorf("%s: got error %v after %d iterations, want a cancelled context after 1", algorithm, err, calls)
		}
	}
}

func TestProgressEndsAtTotal(t *testing.T) {
	for _, algorithm := range algorithms() {
		var steps [][2]int
		mustTrain(t, synthetic(200, 3, nil, 22), Options{Algorithm: algorithm, Progress: func(done, total int) {
			steps = append(steps, [2]int{done, total})
		}})
		for i, s := range steps {
			if s[0] != i+1 || s[0] > s[1] {
				t.Errorf("%s: call %d says %d of %d", algorithm, i+1, s[0], s[1])
			}
		}
		if last := steps[len(steps)-1]; last[0] != last[1] {
			t.Errorf("%s: ended at %d of %d", algorithm, last[0], last[1])
		}
	}
}

// Both algorithms must come close to what the labels were drawn from, and the
// trees closer: the truth is not linear.
func TestModelsLearn(t *testing.T) {
	train, test := synthetic(4000, 4, []int{4, 3}, 23), synthetic(4000, 4, []int{4, 3}, 24)
	var auc []float64
	for _, algorithm := range algorithms() {
		m := mustTrain(t, train, Options{Algorithm: algorithm, Hyperparameters: map[string]string{}})
		metrics, err := Evaluate(scores(m, test), test.Y, m.Threshold())
		if err != nil {
			t.Fatal(err)
		}
		if metrics.Calibration > 0.03 {
			t.Errorf("%s: calibration error is %v", algorithm, metrics.Calibration)
		}
		auc = append(auc, metrics.AUC)
	}
	if auc[0] < 0.70 || auc[1] < auc[0]+0.01 {
		t.Errorf("got areas under the curve of %v, want at least 0.70 and a hundredth more", auc)
	}
}

func TestScoreAnswersAnyRow(t *testing.T) {
	data := synthetic(300, 3, []int{3}, 25)
	for _, algorithm := range algorithms() {
		m := mustTrain(t, data, Options{Algorithm: algorithm})
		rate := positiveRate(data.Y)
		for _, row := range [][]float64{nil, data.Row(0)[1:], make([]float64, 7)} {
			if got := m.Score(row); got != rate {
				t.Errorf("%s: row of width %d scores %v, want the base rate %v", algorithm, len(row), got, rate)
			}
		}
		for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64} {
			if got := m.Score(slices.Repeat([]float64{x}, 6)); !(got >= 0 && got <= 1) {
				t.Errorf("%s: row of %v scores %v", algorithm, x, got)
			}
		}
		row := data.Row(3)
		if n := testing.AllocsPerRun(10, func() { m.Score(row) }); n != 0 {
			t.Errorf("%s: a score allocates %v times", algorithm, n)
		}
	}
}

func TestModelIsSafeForConcurrentUse(t *testing.T) {
	data := synthetic(300, 3, []int{3}, 26)
	for _, algorithm := range algorithms() {
		m := mustTrain(t, data, Options{Algorithm: algorithm})
		want := scores(m, data)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if !slices.Equal(scores(m, data), want) {
					t.Errorf("%s: scores differ between goroutines", algorithm)
				}
			})
		}
		wg.Wait()
	}
}

func TestModelKeepsToItself(t *testing.T) {
	data := synthetic(100, 2, nil, 27)
	m := mustTrain(t, data, Options{Algorithm: LinearLearner})
	want := m.Score(data.Row(0))
	_, coef, _ := m.Coefficients()
	coef[0], m.Columns()[0], data.Columns[0] = 99, "changed", "changed"
	if got := m.Score(data.Row(0)); got != want || m.Columns()[0] != "number0" || m.Algorithm() != LinearLearner {
		t.Errorf("changing what the model gave out changed the model: %v, %v", got, m.Columns())
	}
}
