package learn

import "math"

// Metrics says how good scores were against labels that became known.
type Metrics struct {
	// Rows is how many scores were judged.
	Rows int `json:"rows"`
	// PositiveRate is the share of labels that are 1.
	PositiveRate float64 `json:"positive_rate"`
	// AUC is the area under the ROC curve: the probability that a positive
	// row scores above a negative one, a tie counting half.
	AUC float64 `json:"auc"`
	// AUCLow and AUCHigh bound the AUC on rows like these with a confidence of
	// 95 %. They are 0 in metrics of earlier versions.
	AUCLow  float64 `json:"auc_low,omitempty"`
	AUCHigh float64 `json:"auc_high,omitempty"`
	// LogLoss is the mean negative log likelihood, in nats.
	LogLoss float64 `json:"log_loss"`
	// Accuracy is the share of rows on the right side of the threshold.
	Accuracy float64 `json:"accuracy"`
	// F1 is the harmonic mean of precision and recall at the threshold; 0
	// when no positive row is found.
	F1 float64 `json:"f1"`
	// Calibration is the expected calibration error: how far, on average, the
	// mean score of rows scored alike is from their rate of positives. 0 is
	// perfect.
	Calibration float64 `json:"calibration"`
}

const (
	// minProbability keeps the log loss finite when a certain answer was
	// wrong; the customary value.
	minProbability = 1e-15
	// calibrationBins is the number of equal-width bins of [0, 1] that
	// Calibration compares rates in.
	calibrationBins = 10
)

// Evaluate judges scores, probabilities in [0, 1], against labels, each 0 or
// 1. A score at or above threshold predicts 1.
//
// Errors match ErrInput: the lengths differ, there is nothing to judge, a
// score is not a probability, a label is neither 0 nor 1, or all labels are of
// one class, for which the area under the curve has no meaning.
func Evaluate(scores, labels []float64, threshold float64) (Metrics, error) {
	if err := checkScores(scores, labels); err != nil {
		return Metrics{}, err
	}
	n := float64(len(scores))
	var positives, loss float64
	var truePositives, falsePositives, falseNegatives float64
	var binScore, binLabel [calibrationBins]float64
	for i, p := range scores {
		y := labels[i]
		positives += y
		loss += rowLoss(p, y)
		switch predicted := p >= threshold; {
		case predicted && y == 1:
			truePositives++
		case predicted:
			falsePositives++
		case y == 1:
			falseNegatives++
		}
		bin := min(int(p*calibrationBins), calibrationBins-1)
		binScore[bin] += p
		binLabel[bin] += y
	}
	m := Metrics{
		Rows:         len(scores),
		PositiveRate: positives / n,
		LogLoss:      loss / n,
		Accuracy:     1 - (falsePositives+falseNegatives)/n,
	}
	r := rank(scores, labels)
	m.AUC = r.auc
	m.AUCLow, m.AUCHigh = r.interval()
	if truePositives > 0 {
		m.F1 = 2 * truePositives / (2*truePositives + falsePositives + falseNegatives)
	}
	// Σ over bins of (rows in bin / rows) · |mean score − mean label|
	// (Naeini, Cooper and Hauskrecht, AAAI 2015); the row counts cancel.
	for b := range calibrationBins {
		m.Calibration += math.Abs(binScore[b]-binLabel[b]) / n
	}
	return m, nil
}

func checkScores(scores, labels []float64) error {
	if len(scores) != len(labels) {
		return inputErrorf("%d scores for %d labels", len(scores), len(labels))
	}
	if len(scores) == 0 {
		return inputErrorf("no scores to evaluate")
	}
	var seen [2]bool
	for i, p := range scores {
		if !(p >= 0 && p <= 1) {
			return inputErrorf("score %d is %v, not a probability", i+1, p)
		}
		if y := labels[i]; y != 0 && y != 1 {
			return inputErrorf("label %d is %v, not 0 or 1", i+1, y)
		}
		seen[int(labels[i])] = true
	}
	if !seen[0] || !seen[1] {
		return inputErrorf("one class only: all %d labels are %v, so the area under the curve is undefined",
			len(labels), labels[0])
	}
	return nil
}
