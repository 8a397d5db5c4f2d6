package learn

import (
	"math/rand/v2"
	"testing"
)

func pairOfScores() (first, second, labels []float64) {
	return []float64{.1, .4, .35, .8, .7, .2, .9, .4, .6, .3, .55, .65},
		[]float64{.2, .3, .5, .6, .9, .1, .7, .8, .4, .35, .5, .45},
		[]float64{0, 0, 1, 1, 1, 0, 1, 0, 1, 0, 0, 1}
}

// The expected numbers were computed by the definition of DeLong and others, over
// all pairs of rows, with numpy.
func TestIntervalsOfAUCAreDeLongs(t *testing.T) {
	first, second, labels := pairOfScores()
	a, b := rank(first, labels), rank(second, labels)
	low, high := a.interval()
	d, err := CompareAUC(first, second, labels)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]float64{
		"AUC of the first":       {a.auc, 0.9166666666666666},
		"AUC of the second":      {b.auc, 0.7916666666666666},
		"variance of the first":  {a.covariance(a), 0.008333333333333333},
		"variance of the second": {b.covariance(b), 0.02291666666666667},
		"covariance":             {a.covariance(b), 0.004166666666666666},
		"low":                    {low, 0.5139157764622166},
		"high":                   {high, 0.991338027116956},
		"difference":             {d.AUC, 0.125},
		"difference, low":        {d.Low, -0.17170428259055132},
		"difference, high":       {d.High, 0.4217042825905513},
	} {
		if !near(c[0], c[1], 1e-12) {
			t.Errorf("%s: got %v, want %v", name, c[0], c[1])
		}
	}
	if _, err := CompareAUC(first, second[1:], labels); err == nil {
		t.Error("scores of other rows were compared")
	}
	same, err := CompareAUC(first, first, labels)
	if err != nil || same != (Difference{}) {
		t.Errorf("a model differs from itself by %+v (%v)", same, err)
	}
}

// A perfect order of few rows is weak evidence.
func TestIntervalOfAPerfectOrder(t *testing.T) {
	for _, n := range []int{2, 10, 100} {
		var scores, labels []float64
		for i := range 2 * n {
			scores, labels = append(scores, float64(i)), append(labels, float64(boolToInt(i >= n)))
		}
		low, high := rank(scores, labels).interval()
		if high != 1 || !(low > 0) || low > 1-0.3/float64(n) {
			t.Errorf("%d rows of each label: got %v to %v", n, low, high)
		}
		for i := range labels {
			labels[i] = 1 - labels[i]
		}
		if low, high = rank(scores, labels).interval(); low != 0 || high < 0.3/float64(n) || !(high < 1) {
			t.Errorf("%d rows of each label, backwards: got %v to %v", n, low, high)
		}
	}
	if low, high := rank([]float64{0, 1}, []float64{0, 1}).interval(); low > 0.1 || high != 1 {
		t.Errorf("one row of each label: got %v to %v", low, high)
	}
}

// Of many samples, about 95 % have the true AUC in their interval. The AUC of two
// normal distributions one deviation apart is 0.760250.
func TestIntervalOfAUCCoversTheTruth(t *testing.T) {
	const truth, samples = 0.760250, 1000
	random := rand.New(rand.NewPCG(8, 8))
	covered := 0
	for range samples {
		var scores, labels []float64
		for i := range 80 {
			y := float64(boolToInt(i%4 == 0))
			scores, labels = append(scores, random.NormFloat64()+y), append(labels, y)
		}
		if low, high := rank(scores, labels).interval(); low <= truth && truth <= high {
			covered++
		}
	}
	if covered < 930 || covered > 970 {
		t.Errorf("the interval covers the truth in %d of %d samples, want about 950", covered, samples)
	}
}
