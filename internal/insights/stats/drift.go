package stats

import (
	"fmt"
	"math"
	"slices"
)

const (
	// MinDriftRows is how many rows a window, and its reference, need: below, the
	// distribution of the PSI is not near its limit.
	MinDriftRows = 200

	// FalseDriftRate is the share of large windows that raise an alarm though no feature
	// has changed. It is several times as much in windows of a few hundred rows, where
	// the distribution of the PSI has a longer tail, and still below 1 %.
	FalseDriftRate = 0.0002

	// MinDriftPSI is the least PSI that counts as drift, however many rows show it. A
	// normal feature that moves by a tenth of a standard deviation has it. The score may
	// have little more where the rate of positives doubles.
	MinDriftPSI = 0.01
)

// Histograms counts the rows of a feature, or of the score, by bin: those of the
// reference and those of a window.
type Histograms struct {
	Reference []float64
	Live      []float64

	// Special is how many of the first bins are for missing, unseen, out of range and
	// similar values. They are never added up with others, however few rows they have.
	Special int

	// Contribution is, of each bin, the mean contribution of the feature to the score,
	// in log-odds. It may be nil.
	Contribution []float64

	// Weight is used where Contribution is nil: the feature's mean absolute
	// contribution, or another measure of its importance.
	Weight float64
}

// Drift is how a distribution differs from its reference.
type Drift struct {
	PSI       float64 `json:"psi"`
	Threshold float64 `json:"threshold"` // drifted is PSI >= Threshold
	PValue    float64 `json:"p_value"`
	Drifted   bool    `json:"drifted"`

	// Shift is by how much the feature has moved the mean score, in log-odds (or units
	// of Weight, and then not negative). ShareOfScoreShift is the share of its size in
	// those of all features, of what exceeds the sampling error.
	Shift             float64 `json:"-"`
	ShareOfScoreShift float64 `json:"share_of_score_shift"`

	// Insufficient says why nothing can be said; empty where something can.
	Insufficient string `json:"insufficient,omitempty"`
}

// FindDrift compares the distributions of several features, and the score where it is
// among them.
//
// The population stability index is Σ (live−reference)·ln(live/reference) over the
// shares of rows in bins. Bins in which less than ten rows are expected are added up. A
// bin that is then empty on one side counts as half a row there; one that is empty on
// both is left out. If nothing has changed, PSI/(1/n+1/m), with n
// and m the numbers of rows, has a chi-square distribution with one degree of freedom
// less than bins (Yurdakul and Naranjo, Journal of Risk Model Validation 14(4), 2020):
// a fixed threshold would be exceeded by chance in small windows. Threshold is the
// quantile of that distribution, at the level that Benjamini and Hochberg's procedure
// allows (Journal of the Royal Statistical Society B 57(1), 1995) for a false discovery
// rate of FalseDriftRate over all features, and at least MinDriftPSI.
func FindDrift(features []Histograms) []Drift {
	out := make([]Drift, len(features))
	var pValues []float64
	for i, h := range features {
		out[i] = h.compare()
		if out[i].Insufficient == "" {
			pValues = append(pValues, out[i].PValue)
		}
	}
	quantile := quantileOf(discoveryLevel(pValues, FalseDriftRate))
	for i, h := range features {
		if d := &out[i]; d.Insufficient == "" {
			d.Threshold = max(MinDriftPSI, h.threshold(quantile))
			d.Drifted = d.PSI >= d.Threshold
		}
	}
	setShares(features, out)
	return out
}

func (h Histograms) compare() Drift {
	n, m := total(h.Live), total(h.Reference)
	if min(n, m) < MinDriftRows {
		return Drift{Insufficient: fmt.Sprintf("%.0f rows, and %.0f of the reference; %d are needed", n, m, MinDriftRows)}
	}
	psi, freedom := h.psi()
	return Drift{PSI: psi, PValue: chiSquareTail(psi/(1/n+1/m), freedom)}
}

// minExpected is how many rows a bin must be expected to have in the window and in the
// reference. With sparser bins the PSI is not near its limit.
const minExpected = 10

// psi returns the index and its degrees of freedom, at least 1. It needs rows on both
// sides. Sparse bins are added up to groups that are not; which ones depends on the sums
// of both sides alone, so that it does not favour either.
func (h Histograms) psi() (psi, freedom float64) {
	n, m := total(h.Live), total(h.Reference)
	add := func(live, reference float64) {
		if live > 0 || reference > 0 {
			p, q := max(reference, 0.5)/m, max(live, 0.5)/n
			psi += (q - p) * math.Log(q/p)
			freedom++
		}
	}
	isSparse := func(live, reference float64) bool {
		return (live+reference)*min(n, m)/(n+m) < minExpected
	}
	var sparseLive, sparseReference float64
	for i, live := range h.Live {
		reference := h.Reference[i]
		if i < h.Special || !isSparse(live, reference) {
			add(live, reference)
			continue
		}
		sparseLive += live
		sparseReference += reference
		if !isSparse(sparseLive, sparseReference) {
			add(sparseLive, sparseReference)
			sparseLive, sparseReference = 0, 0
		}
	}
	add(sparseLive, sparseReference)
	return psi, max(1, freedom-1)
}

// threshold is the PSI that is exceeded by chance, by a quantile of the chi-square
// distribution.
func (h Histograms) threshold(quantile func(freedom float64) float64) float64 {
	_, freedom := h.psi()
	return quantile(freedom) * (1/total(h.Live) + 1/total(h.Reference))
}

// quantileOf returns a function from degrees of freedom to what a chi-square variable
// exceeds with the probability tail. It computes each once: most features have as many
// bins.
func quantileOf(tail float64) func(freedom float64) float64 {
	known := make(map[float64]float64)
	return func(freedom float64) float64 {
		q, ok := known[freedom]
		if !ok {
			q = chiSquareQuantile(tail, freedom)
			known[freedom] = q
		}
		return q
	}
}

// discoveryLevel is the largest p-value that is a discovery at a false discovery rate by
// Benjamini and Hochberg: the largest k·rate/count that at least k p-values do not
// exceed. Where there is no discovery it is what a single one would have needed.
func discoveryLevel(pValues []float64, rate float64) float64 {
	sorted := slices.Sorted(slices.Values(pValues))
	step := rate / float64(max(1, len(sorted)))
	for k := len(sorted); k > 1; k-- {
		if level := float64(k) * step; sorted[k-1] <= level {
			return level
		}
	}
	return step
}

func total(counts []float64) (sum float64) {
	for _, c := range counts {
		sum += c
	}
	return sum
}
