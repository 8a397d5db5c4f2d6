package learn

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestCalibrationGoesThroughItsPoints(t *testing.T) {
	c := &calibration{from: []float64{-1, 0, 2}, to: []float64{-3, -1, 0}}
	for margin, want := range map[float64]float64{-1: -3, 0: -1, 2: 0, -0.5: -2, 1: -0.5, -2: -4, 5: 3} {
		if got := c.at(margin); !near(got, want, 1e-12) {
			t.Errorf("%v: got %v, want %v", margin, got, want)
		}
	}
	if got := (*calibration)(nil).at(0.7); got != 0.7 {
		t.Errorf("no calibration: got %v, want 0.7", got)
	}
	if got := c.slope(-1, 2); !near(got, 1, 1e-12) {
		t.Errorf("got slope %v, want 1", got)
	}
	for name, c := range map[string]*calibration{
		"no points": {}, "ragged": {from: []float64{1}, to: nil}, "falls": {from: []float64{1, 2}, to: []float64{2, 1}},
		"stands": {from: []float64{1, 1}, to: []float64{1, 2}}, "NaN": {from: []float64{math.NaN()}, to: []float64{1}},
	} {
		if c.check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// squashed returns log-odds that are off by a curve, and labels drawn by the true
// ones.
func squashed(rows int, seed uint64) (margins, labels []float64) {
	random := rand.New(rand.NewPCG(seed, 9))
	for range rows {
		truth := 2 * random.NormFloat64()
		y := 0.0
		if random.Float64() < sigmoid(truth) {
			y = 1
		}
		margins, labels = append(margins, truth*truth*truth/4), append(labels, y)
	}
	return margins, labels
}

func TestIsotonicCalibrationMendsACurve(t *testing.T) {
	margins, labels := squashed(6000, 1)
	c := fitIsotonic(margins, labels, nil, 0)
	if c == nil {
		t.Fatal("no calibration")
	}
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	test, truth := squashed(6000, 2)
	before, after := make([]float64, len(test)), make([]float64, len(test))
	for i, m := range test {
		before[i], after[i] = sigmoid(m), sigmoid(c.at(m))
	}
	was, err := Evaluate(before, truth, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	is, err := Evaluate(after, truth, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	if was.Calibration < 0.05 || is.Calibration > 0.025 || is.LogLoss > was.LogLoss-0.01 {
		t.Errorf("calibration error %v became %v, log loss %v became %v", was.Calibration, is.Calibration, was.LogLoss, is.LogLoss)
	}
	if !near(is.AUC, was.AUC, 1e-12) {
		t.Errorf("AUC %v became %v: rows changed their order", was.AUC, is.AUC)
	}
	if fitIsotonic(margins[:900], labels[:900], nil, 0) != nil {
		t.Error("900 rows are enough for a calibration")
	}
}

// newValidation judges margins as those of the linear member.
func newValidation(margins, labels []float64) *validation {
	return &validation{labels: labels, folds: newFolds(labels, 5, 1), members: [][]float64{margins, make([]float64, len(margins))}}
}

func TestLogisticCalibrationFindsFactorAndShift(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	var margins, labels []float64
	for range 20_000 {
		truth := random.NormFloat64()
		y := 0.0
		if random.Float64() < sigmoid(truth) {
			y = 1
		}
		margins, labels = append(margins, 2*truth-1), append(labels, y)
	}
	m, ok := newValidation(margins, labels).fit([2]bool{true, false}, -1)
	if !ok || !near(m.linear, 0.5, 0.03) || !near(m.shift, 0.5, 0.05) || m.boosted != 0 {
		t.Errorf("got %+v, want half of the log-odds and a shift of a half", m)
	}
}

// A model that ranks backwards, or one that is certain and wrong, gets no weight.
func TestBlendLeavesOutWhatDoesNotHelp(t *testing.T) {
	margins, labels := squashed(2000, 5)
	v := newValidation(margins, labels)
	for i, m := range margins {
		v.members[1][i] = -m
	}
	if m, ok := v.fit([2]bool{false, true}, -1); ok {
		t.Errorf("a model that ranks backwards got %+v", m)
	}
	random := rand.New(rand.NewPCG(4, 4))
	for i := range margins {
		v.members[1][i] = random.NormFloat64()
	}
	record := &Search{Folds: 5}
	tuned := &tuner{data: &Table{labels: labels}, folds: v.folds, record: record}
	mix := tuned.choose(&tried{margins: margins}, &tried{margins: v.members[1]})
	if mix.algorithm() != LinearLearner {
		t.Errorf("got %s for a model beside noise: %+v", mix.algorithm(), mix)
	}
	if record.Calibration != CalibrationIsotonic {
		t.Errorf("got calibration %s, want isotonic for a curve", record.Calibration)
	}
}

func TestFitStaysFinite(t *testing.T) {
	var margins, labels []float64
	for i := range 200 {
		margins, labels = append(margins, float64(i-100)*1e3), append(labels, float64(boolToInt(i >= 100)))
	}
	if m, ok := newValidation(margins, labels).fit([2]bool{true, false}, -1); ok && !(finite(m.linear) && finite(m.shift)) {
		t.Errorf("got %+v", m)
	}
}
