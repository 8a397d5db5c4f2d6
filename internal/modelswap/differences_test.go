package modelswap

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/learn"
)

func reportOf(name string, f Figures) *ModelReport {
	return &ModelReport{Model: Model{Name: name}, Figures: &f}
}

func TestCompareModels(t *testing.T) {
	a := reportOf("a", Figures{
		Estimates:  &learn.Estimates{AUC: learn.Estimate{Value: 0.8, Low: 0.77, High: 0.84}, Recall: learn.Estimate{Value: 0.5, Low: 0.46, High: 0.53}},
		Importance: []learn.Importance{{Feature: "x", AUC: 0.2, LogLoss: 0.3}, {Feature: "gone", AUC: 0.01, LogLoss: 0.02}},
	})
	b := reportOf("b", Figures{
		Estimates:  &learn.Estimates{AUC: learn.Estimate{Value: 0.9, Low: 0.86, High: 0.93}, Recall: learn.Estimate{Value: 0.4, Low: 0.37, High: 0.44}, Precision: &learn.Estimate{Value: 1}},
		Importance: []learn.Importance{{Feature: "x", AUC: 0.1, LogLoss: 0.25}, {Feature: "new", AUC: 0.1, LogLoss: 0.1}},
	})
	near := cmp.Comparer(func(x, y float64) bool { return math.Abs(x-y) < 1e-12 })
	c := CompareModels(a, b)
	// Of 3-4-5 triangles: from below, B's 0.04 and A's 0.04; from above B's 0.03 and A's 0.03.
	want := learn.Estimate{Value: 0.1, Low: 0.1 - math.Hypot(0.04, 0.04), High: 0.1 + math.Hypot(0.03, 0.03)}
	if got := c.Metrics[0]; got.Metric != "auc" || !cmp.Equal(want, *got.Difference, near) || got.SameRows {
		t.Errorf("the AUC differs by %+v, want %+v", got.Difference, want)
	}
	want = learn.Estimate{Value: -0.1, Low: -0.1 - math.Hypot(0.03, 0.03), High: -0.1 + math.Hypot(0.04, 0.04)}
	if got := c.Metrics[4]; got.Metric != "recall" || !cmp.Equal(want, *got.Difference, near) {
		t.Errorf("the recall differs by %+v, want %+v", got.Difference, want)
	}
	if got := c.Metrics[3]; got.Metric != "precision" || got.A != nil || got.B == nil || got.Difference != nil {
		t.Errorf("got %+v, want no difference of a precision that one has not", got)
	}
	wantImportance := []ImportanceDifference{
		{"new", nil, &b.Figures.Importance[1], 0.1, 0.1},
		{"x", &a.Figures.Importance[0], &b.Figures.Importance[0], -0.1, -0.05},
		{"gone", &a.Figures.Importance[1], nil, -0.01, -0.02},
	}
	if diff := cmp.Diff(wantImportance, c.Importance, near); diff != "" {
		t.Errorf("importance differs (-want +got):\n%s", diff)
	}
	if len(c.Unavailable) > 0 {
		t.Errorf("unavailable: %v", c.Unavailable)
	}
}

// Where a renewal evaluated both on the same rows, its difference is taken, in
// whichever order they are asked for.
func TestCompareModelsOnTheSameRows(t *testing.T) {
	a := reportOf("a", Figures{Unavailable: map[string]string{"estimates": "it is old", "importance": "it is old"}})
	b := reportOf("b", Figures{Estimates: &learn.Estimates{AUC: learn.Estimate{Value: 0.9}},
		Compared: &Compared{Model: "a", AUC: learn.Estimate{Value: 0.02, Low: 0.01, High: 0.04}, LogLoss: learn.Estimate{Value: -3, Low: -5, High: 1}}})
	c := CompareModels(a, b)
	if auc, loss := c.Metrics[0], c.Metrics[1]; !auc.SameRows || *auc.Difference != b.Figures.Compared.AUC || auc.A != nil || !loss.SameRows || *loss.Difference != b.Figures.Compared.LogLoss || c.Metrics[2].SameRows {
		t.Errorf("got %+v and %+v", auc, loss)
	}
	if want := map[string]string{"metrics": "a: it is old", "importance": "a: it is old"}; !cmp.Equal(want, c.Unavailable) {
		t.Errorf("unavailable: %v", c.Unavailable)
	}
	c = CompareModels(b, a)
	if auc, loss := c.Metrics[0], c.Metrics[1]; *auc.Difference != (learn.Estimate{Value: -0.02, Low: -0.04, High: -0.01}) || *loss.Difference != (learn.Estimate{Value: 3, Low: -1, High: 5}) {
		t.Errorf("the other way round: %+v and %+v", auc.Difference, loss.Difference)
	}
	if c := CompareModels(b, reportOf("c", Figures{})); c.Metrics[0].SameRows {
		t.Error("models that no renewal compared have the same rows")
	}
}
