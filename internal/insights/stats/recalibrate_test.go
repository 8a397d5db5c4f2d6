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
