package stats

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
)

// Whatever the counts, each figure is a number within its interval, and the answers can
// be written as JSON, which has no NaN.
func TestFiguresAreNumbersOfAnyCounts(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 70))
	count := func() float64 {
		if random.IntN(3) == 0 {
			return 0
		}
		return float64(random.IntN(1 + random.IntN(50)))
	}
	known, drifted := 0, 0
	for range 5000 {
		cells := make([]Cell, random.IntN(12))
		for i := range cells {
			scores := []float64{0, 1, random.Float64(), ScoreBinCenter(random.IntN(ScoreBins))}
			c := Cell{Score: scores[random.IntN(len(scores))], PredictedPositive: random.IntN(2) == 0, Negatives: count(), Positives: count()}
			c.Predictions = c.outcomes() + count()
			cells[i] = c
		}
		q, calibration := Measure(cells), Recalibrate(cells)
		e := Expect(cells, calibration)
		for _, figures := range []map[string]*Figure{q.figures(), e.figures()} {
			for name, f := range figures {
				if f == nil {
					continue
				}
				known++
				if !(f.Low <= f.Value*(1+1e-9) && f.Value <= f.High*(1+1e-9) && f.Low >= 0) || f.High > 1 && name != "log loss" && name != "Brier" {
					t.Fatalf("%s is %+v of %+v", name, *f, cells)
				}
			}
		}
		features := make([]Histograms, 3)
		for i := range features {
			for range 1 + random.IntN(8) {
				features[i].Reference = append(features[i].Reference, 10*count())
				features[i].Live = append(features[i].Live, 10*count())
				features[i].Contribution = append(features[i].Contribution, random.NormFloat64())
			}
		}
		drifts := FindDrift(features)
		for _, d := range drifts {
			if d.Drifted {
				drifted++
			}
		}
		if _, err := json.Marshal([]any{q, e, calibration, drifts}); err != nil {
			t.Fatalf("%v: of %+v, %+v", err, cells, features)
		}
	}
	if known < 20_000 || drifted < 1000 {
		t.Errorf("%d figures, %d drifts: the test shows little", known, drifted)
	}
}
