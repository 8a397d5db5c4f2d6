package stats

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func TestRecalibrationOfWrongScores(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 6))
	p := populations["overconfident"]
	c := Recalibrate(p.sample(random, 20_000))
	if c == nil || len(c.Scores) == 0 {
		t.Fatal("wrong scores are left as they are")
	}
	if c.HeldOut != 20_000 || !slices.IsSorted(c.Rates) || !slices.IsSorted(c.Scores) || len(c.Scores) != len(c.Rates) {
		t.Errorf("the calibration is %+v", c)
	}
	for _, standard := range []float64{-1.5, -0.5, 0, 0.5, 1.5} {
		score, rate := p.at(standard)
		if got := c.Rate(score); math.Abs(got-rate) > 0.04 {
			t.Errorf("the rate at %.3f is %.3f, in truth %.3f", score, got, rate)
		}
	}
}

// Fitted to few rows, rates are worse than scores that are right. By chance they look
// better in some sets.
func TestRecalibrationLeavesScoresThatAreBetter(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 7))
	changed := 0
	for range 200 {
		c := Recalibrate(calibratedPopulation.sample(random, 2000))
		if len(c.Scores) > 0 {
			changed++
		} else if got := c.Rate(0.123); got != 0.123 {
			t.Fatalf("a calibration without points maps 0.123 to %v", got)
		}
	}
	if changed > 130 {
		t.Errorf("%d of 200 calibrated sets were recalibrated", changed)
	}
	t.Logf("%d of 200 calibrated sets were recalibrated", changed)
}

func TestRecalibrationIsTheSameEachTime(t *testing.T) {
	cells := populations["overconfident"].sample(rand.New(rand.NewPCG(21, 8)), 3000)
	if a, b := Recalibrate(cells), Recalibrate(cells); !reflect.DeepEqual(a, b) {
		t.Error("two calibrations of the same rows differ")
	}
}

func TestRecalibrationNeedsRows(t *testing.T) {
	if c := Recalibrate([]Cell{{Score: 0.9, Negatives: 100, Positives: 4}}); c != nil {
		t.Errorf("of 4 positives: %+v", c)
	}
	var none *Calibration
	if none.Rate(0.3) != 0.3 {
		t.Error("no calibration changes a score")
	}
}

// A block without a positive, or with positives alone, is not certain: it counts one row
// more, with its mean score.
func TestRatesAreNotCertain(t *testing.T) {
	c := fitCalibration([]Cell{
		{Score: 0.1, Negatives: 6}, {Score: 0.2, Negatives: 3}, // one block of 9 rows
		{Score: 0.5, Negatives: 5, Positives: 5},
		{Score: 0.9, Positives: 4},
	})
	want := []float64{(6*0.1 + 3*0.2) / 9 / 10, (6*0.1 + 3*0.2) / 9 / 10, 0.5, 4.9 / 5}
	for i, rate := range c.Rates {
		near(t, "rate", rate, want[i], 1e-12)
	}
}
