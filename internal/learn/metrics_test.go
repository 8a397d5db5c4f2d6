package learn

import (
	"errors"
	"math"
	"testing"
)

// The expected numbers are scikit-learn's roc_auc_score, log_loss,
// accuracy_score and f1_score(labels, scores ≥ 0.5), and, for the calibration,
//
//	b = np.minimum((s*10).astype(int), 9)
//	sum(abs(s[b==k].sum() - l[b==k].sum()) for k in range(10)) / 10
func TestEvaluate(t *testing.T) {
	s := []float64{.1, .4, .4, .8, .4, .9, .35, .8, .05, .55}
	l := []float64{0, 0, 1, 1, 1, 1, 0, 0, 0, 1}
	got, err := Evaluate(s, l, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	want := Metrics{Rows: 10, PositiveRate: 0.5, AUC: 0.82, LogLoss: 0.5466622793813889,
		Accuracy: 0.7, F1: 0.6666666666666665, Calibration: 0.245}
	for name, pair := range map[string][2]float64{
		"rows":          {float64(got.Rows), float64(want.Rows)},
		"positive rate": {got.PositiveRate, want.PositiveRate},
		"AUC":           {got.AUC, want.AUC},
		"log loss":      {got.LogLoss, want.LogLoss},
		"accuracy":      {got.Accuracy, want.Accuracy},
		"F1":            {got.F1, want.F1},
		"calibration":   {got.Calibration, want.Calibration},
	} {
		if !near(pair[0], pair[1], 1e-12) {
			t.Errorf("%s: got %v, want %v", name, pair[0], pair[1])
		}
	}
}

func TestEvaluateExtremes(t *testing.T) {
	for name, c := range map[string]struct {
		scores, labels       []float64
		auc, logLoss, f1, ce float64
	}{
		"certain and right":      {[]float64{0, 1}, []float64{0, 1}, 1, 0, 1, 0},
		"certain and wrong":      {[]float64{1, 0}, []float64{0, 1}, 0, -math.Log(minProbability), 0, 1},
		"no idea":                {[]float64{.5, .5, .5}, []float64{0, 1, 0}, .5, math.Ln2, .5, .5 / 3},
		"the threshold counts":   {[]float64{.5, .25}, []float64{1, 0}, 1, (math.Ln2 - math.Log(.75)) / 2, 1, .375},
		"nothing found positive": {[]float64{.25, .25}, []float64{1, 0}, .5, (-math.Log(.25) - math.Log(.75)) / 2, 0, .25},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Evaluate(c.scores, c.labels, 0.5)
			if err != nil {
				t.Fatal(err)
			}
			if !near(m.AUC, c.auc, 1e-12) || !near(m.LogLoss, c.logLoss, 1e-3) || !near(m.F1, c.f1, 1e-12) ||
				!near(m.Calibration, c.ce, 1e-12) {
				t.Errorf("got %+v, want AUC %v, log loss %v, F1 %v, calibration %v", m, c.auc, c.logLoss, c.f1, c.ce)
			}
		})
	}
}

func TestEvaluateRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		scores, labels []float64
		want           string
	}{
		"different lengths":     {[]float64{.5}, []float64{0, 1}, "1 scores for 2 labels"},
		"nothing":               {nil, nil, "no scores to evaluate"},
		"one class":             {[]float64{.5, .5}, []float64{1, 1}, "one class only: all 2 labels are 1, so the area under the curve is undefined"},
		"NaN":                   {[]float64{.5, math.NaN()}, []float64{0, 1}, "score 2 is NaN, not a probability"},
		"more than certain":     {[]float64{.5, 1.1}, []float64{0, 1}, "score 2 is 1.1, not a probability"},
		"label of no class":     {[]float64{.5, .5}, []float64{0, 2}, "label 2 is 2, not 0 or 1"},
		"label that is not one": {[]float64{.5, .5}, []float64{0, math.NaN()}, "label 2 is NaN, not 0 or 1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Evaluate(c.scores, c.labels, 0.5)
			if err == nil || err.Error() != c.want || !errors.Is(err, ErrInput) {
				t.Errorf("got error %v, want %q matching ErrInput", err, c.want)
			}
		})
	}
}
