package learn

import (
	"errors"
	"math"
	"testing"
)

func TestEstimateAll(t *testing.T) {
	// Eight of ten rows are right at the threshold 0.3: TP 3, FP 1, TN 5, FN 1.
	scores := []float64{0.9, 0.8, 0.3, 0.2, 0.4, 0.1, 0.1, 0.1, 0.1, 0.1}
	labels := []float64{1, 1, 1, 1, 0, 0, 0, 0, 0, 0}
	e, err := EstimateAll(scores, labels, 0.3)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Evaluate(scores, labels, 0.3)
	if err != nil {
		t.Fatal(err)
	}
	if e.AUC != (Estimate{m.AUC, m.AUCLow, m.AUCHigh}) || !near(e.LogLoss.Value, m.LogLoss, 1e-12) || !near(e.Accuracy.Value, m.Accuracy, 1e-12) {
		t.Errorf("got %+v, want the figures of %+v", e, m)
	}
	// Wilson's bounds of 8 of 10 and of 3 of 4.
	for name, test := range map[string]struct{ got, want Estimate }{
		"accuracy":  {e.Accuracy, Estimate{0.8, 0.4901625, 0.9433178}},
		"precision": {*e.Precision, Estimate{0.75, 0.3006418, 0.9544127}},
		"recall":    {e.Recall, Estimate{0.75, 0.3006418, 0.9544127}},
	} {
		if !near(test.got.Value, test.want.Value, 1e-12) || !near(test.got.Low, test.want.Low, 1e-6) || !near(test.got.High, test.want.High, 1e-6) {
			t.Errorf("%s is %+v, want %+v", name, test.got, test.want)
		}
	}
	// The bounds of the mean of the ten losses: ± 1.96 · standard deviation / √10.
	var sum, squares float64
	for i := range scores {
		x := -math.Log(scores[i])
		if labels[i] == 0 {
			x = -math.Log(1 - scores[i])
		}
		sum, squares = sum+x, squares+x*x
	}
	width := 1.959964 * math.Sqrt((squares-sum*sum/10)/9/10)
	if !near(e.LogLoss.High, sum/10+width, 1e-6) || !near(e.LogLoss.Low, sum/10-width, 1e-6) {
		t.Errorf("the log loss is %+v, want a width of %v", e.LogLoss, width)
	}
	if e, err := EstimateAll(scores, labels, 0.95); err != nil || e.Precision != nil || e.Recall.Value != 0 || e.Recall.Low != 0 {
		t.Errorf("with no row above the threshold: %+v (%v), want no precision", e, err)
	}
	if _, err := EstimateAll(scores[:1], labels[:1], 0.5); !errors.Is(err, ErrInput) {
		t.Errorf("one class: got %v", err)
	}
}

func TestCompareLogLoss(t *testing.T) {
	labels := []float64{1, 0, 1, 0}
	ours, theirs := []float64{0.5, 0.5, 0.5, 0.5}, []float64{0.25, 0.75, 0.5, 0.5}
	d, err := CompareLogLoss(ours, theirs, labels)
	if err != nil || !near(d.Value, -math.Log(2)/2, 1e-12) {
		t.Errorf("got %+v (%v), want ours lower by half of log 2", d, err)
	}
	// The differences are -log 2 twice and 0 twice.
	if width := 1.959964 * math.Log(2) / math.Sqrt(12); !near(d.High-d.Value, width, 1e-6) || !near(d.Value-d.Low, width, 1e-6) {
		t.Errorf("got %+v, want a width of %v", d, width)
	}
	if same, err := CompareLogLoss(ours, ours, labels); err != nil || same != (Estimate{}) {
		t.Errorf("of itself: %+v (%v)", same, err)
	}
	if _, err := CompareLogLoss(ours, theirs[:3], labels); !errors.Is(err, ErrInput) {
		t.Errorf("too few scores: got %v", err)
	}
}
