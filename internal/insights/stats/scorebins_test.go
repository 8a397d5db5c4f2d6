package stats

import (
	"math"
	"testing"
)

func TestScoreBins(t *testing.T) {
	for bin := range ScoreBins {
		from, to := ScoreBinBounds(bin)
		if !(from < to) {
			t.Fatalf("bin %d is from %v to %v", bin, from, to)
		}
		if got := ScoreBin(from); got != bin {
			t.Errorf("the lower bound %v of bin %d is in bin %d", from, bin, got)
		}
		if got := ScoreBin(math.Nextafter(to, 0)); got != bin {
			t.Errorf("just below the upper bound %v of bin %d is in bin %d", to, bin, got)
		}
		if got := ScoreBin(ScoreBinCenter(bin)); got != bin {
			t.Errorf("the center of bin %d is in bin %d", bin, got)
		}
	}
	if got := ScoreBin(1); got != ScoreBins-1 {
		t.Errorf("1 is in bin %d, not in the last", got)
	}
	for _, score := range []float64{-1e-9, 1.0000001, math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got := ScoreBin(score); got != -1 {
			t.Errorf("ScoreBin(%v) = %d, want -1", score, got)
		}
	}
}

func TestTenthsAreEdgesOfScoreBins(t *testing.T) {
	for hundredth := 10; hundredth <= 90; hundredth++ {
		threshold := float64(hundredth) / 100
		if from, _ := ScoreBinBounds(ScoreBin(threshold)); from != threshold {
			t.Errorf("the bin of %v begins at %v", threshold, from)
		}
	}
}

func TestScoreBinsAreFineNearTheEnds(t *testing.T) {
	for _, score := range []float64{1e-5, 1e-4, 1e-3, 0.01, 0.09} {
		from, to := ScoreBinBounds(ScoreBin(score))
		if to/from > 1.13 {
			t.Errorf("the bin of %v, from %v to %v, is wider than an eighth of the score", score, from, to)
		}
		from, to = ScoreBinBounds(ScoreBin(1 - score))
		if (1-from)/(1-to) > 1.13 {
			t.Errorf("the bin of %v, from %v to %v, is wider than an eighth of the distance to 1", 1-score, from, to)
		}
	}
}
