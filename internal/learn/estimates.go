package learn

import "math"

// Estimate is a figure of a model on rows that it was not made from, with bounds of
// 95 % confidence for rows like these.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Estimates are the figures of a model on rows that it was not made from.
type Estimates struct {
	AUC       Estimate  `json:"auc"`
	LogLoss   Estimate  `json:"log_loss"`  // in nats
	Accuracy  Estimate  `json:"accuracy"`  // at the threshold
	Precision *Estimate `json:"precision"` // nil where no row scores at the threshold or above
	Recall    Estimate  `json:"recall"`
}

// EstimateAll computes the figures of scores. It has the errors of Evaluate.
//
// The bounds of the AUC are those of Metrics, the bounds of the log loss those of a
// mean of independent rows, and the others are Wilson's for a proportion (Journal of
// the American Statistical Association 22, 1927).
func EstimateAll(scores, labels []float64, threshold float64) (Estimates, error) {
	m, err := Evaluate(scores, labels, threshold)
	if err != nil {
		return Estimates{}, err
	}
	losses := make([]float64, len(scores))
	for i, p := range scores {
		losses[i] = rowLoss(p, labels[i])
	}
	c := ConfusionOf(scores, labels, threshold)
	e := Estimates{
		AUC:      Estimate{m.AUC, m.AUCLow, m.AUCHigh},
		LogLoss:  meanEstimate(losses),
		Accuracy: proportion(c.TruePositives+c.TrueNegatives, len(scores)),
		Recall:   proportion(c.TruePositives, c.TruePositives+c.FalseNegatives),
	}
	e.LogLoss.Low = max(0, e.LogLoss.Low)
	if found := c.TruePositives + c.FalsePositives; found > 0 {
		precision := proportion(c.TruePositives, found)
		e.Precision = &precision
	}
	return e, nil
}

// CompareLogLoss returns how much higher the log loss of ours is than that of theirs
// on the same rows. It has the errors of Evaluate.
func CompareLogLoss(ours, theirs, labels []float64) (Estimate, error) {
	for _, scores := range [][]float64{ours, theirs} {
		if err := checkScores(scores, labels); err != nil {
			return Estimate{}, err
		}
	}
	differences := make([]float64, len(labels))
	for i, y := range labels {
		differences[i] = rowLoss(ours[i], y) - rowLoss(theirs[i], y)
	}
	return meanEstimate(differences), nil
}

// rowLoss returns the negative log likelihood of a label under a score.
func rowLoss(score, label float64) float64 {
	clipped := min(max(score, minProbability), 1-minProbability)
	if label == 1 {
		return -math.Log(clipped)
	}
	return -math.Log1p(-clipped)
}

// meanEstimate returns the mean of values with the bounds of the central limit
// theorem.
func meanEstimate(values []float64) Estimate {
	n := float64(len(values))
	mean, squares := 0.0, 0.0
	for _, x := range values {
		mean += x / n
	}
	for _, x := range values {
		squares += (x - mean) * (x - mean)
	}
	width := 0.0
	if n > 1 {
		width = normal975 * math.Sqrt(squares/(n-1)/n)
	}
	return Estimate{mean, mean - width, mean + width}
}

// proportion returns the share of count in total with Wilson's bounds. total is
// above 0.
func proportion(count, total int) Estimate {
	n := float64(total)
	p, z2 := float64(count)/n, normal975*normal975
	center := (p + z2/(2*n)) / (1 + z2/n)
	width := normal975 / (1 + z2/n) * math.Sqrt(p*(1-p)/n+z2/(4*n*n))
	return Estimate{p, max(0, min(p, center-width)), min(1, max(p, center+width))}
}
