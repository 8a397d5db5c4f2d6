package insights_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"gateway/internal/insights"
	"gateway/internal/insights/insightstest"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Whatever was predicted and reported, each report has finite figures, since JSON has no
// others, with bounds around the value and counts that are not negative.
func TestReportsOfExtremes(t *testing.T) {
	scores := map[string]func(*rand.Rand) float64{
		"0": func(*rand.Rand) float64 { return 0 }, "1": func(*rand.Rand) float64 { return 1 }, "0.5": func(*rand.Rand) float64 { return .5 },
		"0 or 1": func(r *rand.Rand) float64 { return float64(r.IntN(2)) }, "tiny": func(r *rand.Rand) float64 { return 1e-9 * r.Float64() },
		"near 1": func(r *rand.Rand) float64 { return 1 - 1e-9*r.Float64() }, "any": (*rand.Rand).Float64,
		"foreign": func(r *rand.Rand) float64 { return []float64{-3, 7, math.NaN(), math.Inf(1), .3}[r.IntN(5)] },
	}
	labels := map[string]func(*rand.Rand) int{
		"none": func(*rand.Rand) int { return -1 }, "all 0": func(*rand.Rand) int { return 0 }, "all 1": func(*rand.Rand) int { return 1 },
		"few": func(r *rand.Rand) int { return r.IntN(40) - 38 }, "any": func(r *rand.Rand) int { return r.IntN(3) - 1 },
	}
	thresholds := map[string]float64{"0": 0, "0.5": .5, "1": 1}
	for s, score := range scores {
		for l, label := range labels {
			for th, threshold := range thresholds {
				for _, n := range []int{0, 29, 300} {
					t.Run(fmt.Sprintf("scores %s, labels %s, threshold %s, %d rows", s, l, th, n), func(t *testing.T) {
						checkExtreme(t, n, score, label, threshold)
					})
				}
			}
		}
	}
}

func checkExtreme(t *testing.T, n int, score func(*rand.Rand) float64, label func(*rand.Rand) int, threshold float64) {
	rng, memory, now := rand.New(rand.NewPCG(1, 9)), &insightstest.Memory{}, epoch.Add(20*24*time.Hour)
	for range n {
		p := &predict.Prediction{Model: "m", CreatedAt: epoch.Add(time.Duration(rng.Int64N(int64(15 * 24 * time.Hour)))), Score: score(rng)}
		if p.Score >= threshold {
			p.Label = 1
		}
		memory.Predict(p)
		if y := label(rng); y >= 0 {
			// Clocks differ: some outcomes come before their prediction.
			memory.Report(insights.Outcome{Prediction: p, Label: y, Received: p.CreatedAt.Add(time.Duration(rng.Int64N(int64(72*time.Hour))) - time.Hour)})
			if former := y; rng.IntN(3) == 0 {
				memory.Report(insights.Outcome{Prediction: p, Label: 1 - y, Former: &former, Received: p.CreatedAt.Add(time.Hour)})
			}
		}
		if former := 1; rng.IntN(50) == 0 {
			// A replica of an earlier version has joined an outcome, which it did not count.
			memory.Report(insights.Outcome{Prediction: p, Label: 0, Former: &former, Received: p.CreatedAt.Add(time.Hour)})
		}
	}
	no := 0
	for _, o := range []insights.Options{{Maturity: -1}, {}, {Maturity: 24 * time.Hour, Default: &no}} {
		r := insights.NewReportsAt(schema.Bank(), memory, models{{Name: "m", Serving: true}}, o, func() time.Time { return now })
		q, err := r.Quality(t.Context(), insights.Query{Model: "m", Curves: true, Segments: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(q); err != nil {
			t.Fatalf("%v in %+v", err, q.Models[0].Estimated)
		}
		m := q.Models[0]
		for _, p := range m.Series {
			for name, f := range p.Figures {
				if !(f.Low <= f.Value && f.Value <= f.High) || f.Count < 0 || f.Low < 0 {
					t.Errorf("%s of a bucket is %+v", name, f)
				}
			}
		}
		if m.Mature > m.Predictions || m.Positives > m.Outcomes || m.Positives < 0 || m.AUC != nil && m.AUC.High > 1 {
			t.Errorf("%d predictions, %d mature, %d outcomes, %d positives, AUC %+v", m.Predictions, m.Mature, m.Outcomes, m.Positives, m.AUC)
		}
		for _, bar := range m.Curves.Histogram {
			if bar.Predictions < 0 || bar.Negatives < 0 || bar.Positives < 0 {
				t.Errorf("a bar is %+v", bar)
			}
		}
		for _, against := range []string{insights.AgainstTraining, insights.AgainstWeek} {
			d, err := r.Drift(t.Context(), insights.Query{Against: against, From: now.Add(-13 * 24 * time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := json.Marshal(d); err != nil {
				t.Fatal(err)
			}
		}
	}
}
