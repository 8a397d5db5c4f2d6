package stats

import "math"

// A loss is what a row with a score costs, for either label.
type loss func(score float64) (ofNegative, ofPositive float64)

// logLoss is the negative logarithm of the probability given to the label, in nats.
// Scores are kept 1e-15 away from 0 and 1, as in the metrics of models.
func logLoss(score float64) (ofNegative, ofPositive float64) {
	const least = 1e-15
	score = min(max(score, least), 1-least)
	return -math.Log1p(-score), -math.Log(score)
}

func squaredLoss(score float64) (ofNegative, ofPositive float64) {
	return score * score, square(1 - score)
}

// observedLoss returns the mean loss of rows with an outcome. The interval is that
// of the mean of independent values, symmetric in its logarithm: losses are positive
// and have a long upper tail.
func observedLoss(cells []Cell, of loss) *Figure {
	var count, sum, squares float64
	for _, c := range cells {
		ofNegative, ofPositive := of(c.Score)
		count += c.outcomes()
		sum += c.Negatives*ofNegative + c.Positives*ofPositive
		squares += c.Negatives*square(ofNegative) + c.Positives*square(ofPositive)
	}
	mean := sum / count
	variance := max(0, squares-count*mean*mean) / (count - 1) / count
	return lossFigure(mean, variance, count)
}

// lossFigure returns a mean with an interval. Where the standard error is about as large
// as the mean, the upper width is three times the normal one, not more.
func lossFigure(mean, variance, count float64) *Figure {
	f := &Figure{Value: mean, Low: mean, High: mean, Count: int64(math.Round(count))}
	if mean > 0 {
		width := normal975 * math.Sqrt(variance)
		factor := math.Exp(width / mean)
		f.Low, f.High = mean/factor, min(mean*factor, mean+3*width)
	}
	return f
}
