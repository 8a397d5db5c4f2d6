package stats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gateway/internal/insights/stats"
)

// With the scores as chances, segments differ in about one of a hundred sets, whatever
// the scores are.
func TestSegmentsThatHaveNotChanged(t *testing.T) {
	const sets, segments, rows = 400, 30, 300
	rng := rand.New(rand.NewPCG(1, 7))
	alarms := 0
	for range sets {
		counts := make([]stats.SegmentCount, segments)
		for i := range counts {
			for range rows {
				score := 1 / (1 + math.Exp(-rng.NormFloat64()*2+1))
				counts[i].Outcomes++
				counts[i].Scores += score
				if rng.Float64() < score {
					counts[i].Positives++
				}
			}
		}
		for _, s := range stats.FindSegments(counts) {
			if s.Differs {
				alarms++
				break
			}
		}
	}
	if alarms > 3*sets/100 {
		t.Errorf("%d of %d sets have a segment that differs", alarms, sets)
	}
}

func TestSegments(t *testing.T) {
	got := stats.FindSegments([]stats.SegmentCount{
		{Outcomes: 100, Positives: 40, Scores: 20},       // (40-20)² / (20·0.8) = 25
		{Outcomes: 29, Positives: 10, Scores: 10},        // too few
		{Outcomes: 1000, Positives: 20, Scores: 4},       // too few of label 1 are expected
		{Outcomes: 1000, Positives: 20, Scores: 997},     // too few of label 0
		{Outcomes: 1e6, Positives: 101_000, Scores: 1e5}, // significant and small
	})
	if got[1] != nil || got[2] != nil || got[3] != nil {
		t.Fatalf("got %+v", got)
	}
	// scipy.stats.chi2.sf(25, 1), scipy 1.10.1
	if s := got[0]; !s.Differs || s.MeanScore != .2 || s.PositiveRate.Value != .4 || math.Abs(s.PValue-5.733031437583875e-07) > 1e-15 {
		t.Errorf("got %+v", s)
	}
	if s := got[4]; s.Differs || s.PValue > 1e-3 {
		t.Errorf("got %+v", s)
	}
}
