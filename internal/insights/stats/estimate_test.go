package stats

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gateway/internal/testsize"
)

// The scores of these populations are wrong in two cases of four; a calibration from
// held-out rows makes up for it.
func TestEstimatesCoverWhatIsMeasuredLater(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 4))
	repeats := testsize.Of(100, 1500)
	names := testsize.Of([]string{"calibrated", "overconfident"}, slices.Sorted(maps.Keys(populations)))
	for _, name := range names {
		p := populations[name]
		for _, rows := range []int{300, 3000} {
			covered := coverage{}
			for range repeats {
				cells := p.sample(random, rows)
				calibration := Recalibrate(p.sample(random, 2000))
				measured := Measure(cells).figures()
				for figure, f := range Expect(cells, calibration).figures() {
					covered.add(figure, f, measured[figure])
				}
			}
			var line []string
			for _, figure := range slices.Sorted(maps.Keys(covered)) {
				share := covered.share(figure)
				line = append(line, fmt.Sprintf("%s %.3f", figure, share))
				if share < 0.90 || share > 0.995 {
					t.Errorf("%s, %d rows: the band of %s covers the figure measured in %.3f of samples", name, rows, figure, share)
				}
			}
			t.Logf("%s, %d rows: %s", name, rows, strings.Join(line, ", "))
		}
	}
}

func TestEstimateDoesNotSeeAChangeOfConcept(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 5))
	before := calibratedPopulation
	after := before
	after.slope, after.intercept = -1, 2*before.mean // as many positives, in the opposite order
	old, changed := before.sample(random, 5000), after.sample(random, 5000)
	expected, measured := Expect(changed, nil), Measure(changed)
	if was := Expect(old, nil).AUC.Value; expected.AUC.Value < was-0.02 {
		t.Errorf("the estimate of the AUC was %v and is %v", was, expected.AUC.Value)
	}
	if measured.AUC.High > expected.AUC.Low || measured.AUC.Value > 0.4 {
		t.Errorf("the AUC measured is %+v, the estimate %+v", *measured.AUC, *expected.AUC)
	}
}

func TestEstimatesNeedPredictions(t *testing.T) {
	few := Expect([]Cell{{Score: 0.4, Predictions: 29}}, nil)
	if few.AUC != nil || few.Insufficient != "29 expected outcomes, 30 are needed" {
		t.Errorf("of 29 predictions: %+v", few)
	}
	rare := Expect([]Cell{{Score: 0.01, Predictions: 400}}, nil)
	if rare.AUC != nil || rare.Insufficient != "4 positive expected outcomes, 5 are needed" {
		t.Errorf("of predictions with 4 expected positives: %+v", rare)
	}
	none := Expect([]Cell{{Score: 0.4, Predictions: 100}}, nil)
	if none.Precision != nil || none.Recall == nil || none.Recall.Value != 0 || none.Insufficient != "precision: no prediction is positive" {
		t.Errorf("without a positive prediction: %+v", none)
	}
}

func TestEstimatesUseAllPredictions(t *testing.T) {
	cells := []Cell{{Score: 0.1, Predictions: 900, Negatives: 3}, {Score: 0.7, PredictedPositive: true, Predictions: 100, Positives: 1}}
	e := Expect(cells, nil)
	near(t, "precision", e.Precision.Value, 0.7, 1e-12)
	near(t, "recall", e.Recall.Value, 70.0/160, 1e-12)
	near(t, "accuracy", e.Accuracy.Value, 0.88, 1e-12)
	if e.Predictions != 1000 || e.Precision.Count != 100 || e.Recall.Count != 160 {
		t.Errorf("counts are %d, %d, %d", e.Predictions, e.Precision.Count, e.Recall.Count)
	}
}

// The band of a loss, by hand: 100 rows with a probability of 0.3, judged by 200.
func TestBandOfALoss(t *testing.T) {
	cells := []Cell{{Score: 0.3, Predictions: 100}}
	mean := -0.7*math.Log(0.7) - 0.3*math.Log(0.3)
	deviation := math.Sqrt(0.3*0.7/100) * (math.Log(0.7) - math.Log(0.3))
	for held, inflation := range map[float64]float64{0: 1, 200: 1.5} {
		var c *Calibration
		if held > 0 {
			c = &Calibration{HeldOut: held}
		}
		f := Expect(cells, c).LogLoss
		near(t, "log loss", f.Value, mean, 1e-12)
		near(t, "its upper bound", f.High, mean*math.Exp(normal975*deviation*math.Sqrt(inflation)/mean), 1e-12)
		near(t, "its lower bound", f.Low, mean*mean/f.High, 1e-12)
	}
}
