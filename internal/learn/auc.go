package learn

import (
	"cmp"
	"math"
	"slices"
)

// ranking is how well scores order rows of two labels.
type ranking struct {
	// auc is the area under the ROC curve: the mean of the placements.
	auc float64
	// placement is, of each row, the share of rows of the other label that it is on
	// the right side of, a tie counting half.
	placement []float64
	labels    []float64
	positives float64
}

// rank orders rows by score. The placements come from ranks, where tied scores
// share the mean of theirs: among all rows and among those of one label (Sun and
// Xu, IEEE Signal Processing Letters 21(11), 2014).
func rank(scores, labels []float64) ranking {
	r := ranking{placement: make([]float64, len(scores)), labels: labels}
	for _, y := range labels {
		r.positives += y
	}
	negatives := float64(len(scores)) - r.positives
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	var positivesBelow, negativesBelow, sum float64
	for begin := 0; begin < len(order); {
		end, tied := begin, 0.0
		for ; end < len(order) && scores[order[end]] == scores[order[begin]]; end++ {
			tied += labels[order[end]]
		}
		others := float64(end-begin) - tied
		for _, i := range order[begin:end] {
			if labels[i] == 1 {
				r.placement[i] = (negativesBelow + others/2) / negatives
				sum += r.placement[i]
			} else {
				r.placement[i] = 1 - (positivesBelow+tied/2)/r.positives
			}
		}
		positivesBelow += tied
		negativesBelow += others
		begin = end
	}
	r.auc = sum / r.positives
	return r
}

// covariance estimates that of the AUCs of two scores of the same rows; of a with
// itself, the variance (DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988).
func (r ranking) covariance(other ranking) float64 {
	var sums, counts [2]float64
	for i, y := range r.labels {
		k := int(y)
		sums[k] += (r.placement[i] - r.auc) * (other.placement[i] - other.auc)
		counts[k]++
	}
	out := 0.0
	for k := range sums {
		if counts[k] > 1 {
			out += sums[k] / (counts[k] - 1) / counts[k]
		}
	}
	return out
}

// normal975 is the quantile of the standard normal distribution that leaves 2.5 %
// on either side.
const normal975 = 1.959963984540054

// interval returns bounds of the AUC with a confidence of 95 %. They are computed
// for the log-odds of the AUC, so that they stay between 0 and 1. Where no row is
// misplaced, or every one, the placements show no variance: the AUC is then taken
// to be half a row of the rarer label short of that, with the variance that Hanley
// and McNeil give it (Radiology 143, 1982).
func (r ranking) interval() (low, high float64) {
	negatives := float64(len(r.labels)) - r.positives
	auc, variance := r.auc, r.covariance(r)
	edge := 1 / (2 * min(r.positives, negatives))
	if auc < edge && variance == 0 || auc > 1-edge && variance == 0 {
		auc = min(max(auc, edge), 1-edge)
		q1, q2 := auc/(2-auc), 2*auc*auc/(1+auc)
		variance = (auc*(1-auc) + (r.positives-1)*(q1-auc*auc) + (negatives-1)*(q2-auc*auc)) / (r.positives * negatives)
	}
	if !(auc > 0 && auc < 1) {
		return 0, 1
	}
	width := normal975 * math.Sqrt(variance) / (auc * (1 - auc))
	low, high = sigmoid(logit(auc)-width), sigmoid(logit(auc)+width)
	return min(low, r.auc), max(high, r.auc)
}

// Difference is how much larger the AUC of one model is than that of another on the
// same rows, with bounds of 95 % confidence.
type Difference struct {
	AUC  float64 `json:"auc"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// CompareAUC compares the scores of two models on rows with labels. It has the
// errors of Evaluate.
func CompareAUC(ours, theirs, labels []float64) (Difference, error) {
	for _, scores := range [][]float64{ours, theirs} {
		if err := checkScores(scores, labels); err != nil {
			return Difference{}, err
		}
	}
	a, b := rank(ours, labels), rank(theirs, labels)
	d := Difference{AUC: a.auc - b.auc}
	variance := a.covariance(a) + b.covariance(b) - 2*a.covariance(b)
	width := normal975 * math.Sqrt(max(0, variance))
	d.Low, d.High = max(-1, d.AUC-width), min(1, d.AUC+width)
	return d, nil
}
