package stats

import (
	"cmp"
	"math"
	"slices"
)

// setShares fills the shifts of drifts.
func setShares(features []Histograms, drifts []Drift) {
	beyond := make([]float64, len(drifts)) // what exceeds the sampling error
	quantile := quantileOf(0.05)
	for i, h := range features {
		if drifts[i].Insufficient == "" {
			drifts[i].Shift, beyond[i] = h.shift(drifts[i].PSI, quantile)
		}
	}
	if sum := total(beyond); sum > 0 {
		for i := range drifts {
			drifts[i].ShareOfScoreShift = beyond[i] / sum
		}
	}
}

// shift returns by how much the feature moves the mean score, and how much of that
// exceeds 95 % of what chance gives. With contributions it is the difference of their
// means: exact where the model is a sum over features. Without, the PSI takes their
// place: for a normal feature that moves by d standard deviations it is d².
func (h Histograms) shift(psi float64, quantile func(freedom float64) float64) (shift, beyond float64) {
	n, m := total(h.Live), total(h.Reference)
	if h.Contribution == nil {
		byChance := h.threshold(quantile)
		return h.Weight * math.Sqrt(psi), h.Weight * math.Sqrt(max(0, psi-byChance))
	}
	live, liveVariance := meanContribution(h.Live, h.Contribution)
	reference, referenceVariance := meanContribution(h.Reference, h.Contribution)
	byChance := normal975 * math.Sqrt(liveVariance/n+referenceVariance/m)
	return live - reference, max(0, math.Abs(live-reference)-byChance)
}

func meanContribution(counts, contributions []float64) (mean, variance float64) {
	rows, squares := total(counts), 0.0
	for i, count := range counts {
		mean += count / rows * contributions[i]
		squares += count / rows * contributions[i] * contributions[i]
	}
	return mean, max(0, squares-mean*mean)
}

// Order returns the indexes of drifts in the order in which they are of interest: those
// that have drifted first, then by their share of the score's shift, then by how far
// the PSI is above its threshold.
func Order(drifts []Drift) []int {
	order := make([]int, len(drifts))
	for i := range order {
		order[i] = i
	}
	excess := func(d Drift) float64 { return d.PSI / max(d.Threshold, MinDriftPSI) }
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := drifts[i], drifts[j]
		if a.Drifted != b.Drifted {
			if a.Drifted {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.ShareOfScoreShift, a.ShareOfScoreShift), cmp.Compare(excess(b), excess(a)))
	})
	return order
}
