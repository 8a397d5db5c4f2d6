package stats

import "math"

// Estimate is the quality that predictions are expected to have, judged by their
// scores alone.
type Estimate struct {
	Predictions int64 `json:"predictions"`

	AUC       *Figure `json:"auc"`
	LogLoss   *Figure `json:"log_loss"`
	Brier     *Figure `json:"brier"`
	Accuracy  *Figure `json:"accuracy"`
	Precision *Figure `json:"precision"`
	Recall    *Figure `json:"recall"`

	// Insufficient says why figures are nil; empty where none is.
	Insufficient string `json:"insufficient,omitempty"`
}

// Expect estimates the quality of predictions, with an outcome or without. A row
// with a probability p of the positive label counts as p positive and 1−p negative
// rows (confidence-based performance estimation: Kivimäki and others, 2025,
// arXiv:2505.05295; the AUC as NannyML has it). The probability is the rate of the
// calibration, which may be nil: the score itself.
//
// Low and High are a band for the figure that will be measured once all these
// predictions have an outcome: it lies within in 95 of 100 cases if labels still depend
// on scores as they did. In it are the chance in the labels and, with a calibration, that
// in the labels of its rows: the variance of n predictions is 1+n/HeldOut times what it
// is without.
//
// Expect cannot see a change of concept: where the same features come to mean
// another label, the estimate stays as it is while the measured figures fall.
func Expect(cells []Cell, calibration *Calibration) Estimate {
	rows, negatives, positives := expectedRows(cells, calibration)
	e := Estimate{Predictions: int64(math.Round(negatives + positives))}
	if e.Insufficient = insufficient(negatives, positives, "expected outcomes"); e.Insufficient != "" {
		return e
	}
	inflation := calibration.inflation(negatives + positives)
	e.AUC = rank(rows).expectedFigure(inflation)
	e.LogLoss = expectedLoss(rows, inflation, logLoss)
	e.Brier = expectedLoss(rows, inflation, squaredLoss)
	all := func(Cell, bool) bool { return true }
	correct := func(c Cell, positive bool) bool { return c.PredictedPositive == positive }
	e.Accuracy = expectedShare(rows, inflation, correct, all)
	e.Recall = expectedShare(rows, inflation, correct, func(_ Cell, positive bool) bool { return positive })
	e.Precision = expectedShare(rows, inflation, correct, func(c Cell, _ bool) bool { return c.PredictedPositive })
	if e.Precision == nil {
		e.Insufficient = "precision: no prediction is positive"
	}
	return e
}

// expectedRows returns cells in which the labels are those that are expected of all
// predictions, and how many there are of either label. They need not be whole numbers.
func expectedRows(cells []Cell, calibration *Calibration) (rows []Cell, negatives, positives float64) {
	rows = make([]Cell, 0, len(cells))
	for _, c := range cells {
		if c.Predictions <= 0 {
			continue
		}
		p := calibration.Rate(c.Score)
		c.Negatives, c.Positives = c.Predictions*(1-p), c.Predictions*p
		negatives += c.Negatives
		positives += c.Positives
		rows = append(rows, c)
	}
	return rows, negatives, positives
}

// inflation returns the factor by which the sampling of the held-out rows increases the
// variance of a figure computed from the given number of predictions.
func (c *Calibration) inflation(predictions float64) float64 {
	if c == nil || c.HeldOut <= 0 {
		return 1
	}
	return 1 + predictions/c.HeldOut
}

// expectedFigure returns the AUC of a ranking of expected rows. Its variance is that
// of labels drawn anew: a row whose label changes from negative to positive moves the
// AUC by its influence, the difference of its placements' deviations.
func (r ranking) expectedFigure(inflation float64) *Figure {
	variance := 0.0
	for _, c := range r.cells {
		count := c.outcomes()
		p := c.Positives / count
		influence := (c.positivesPlacement-r.auc)/r.positives - (c.negativesPlacement-r.auc)/r.negatives
		variance += count * p * (1 - p) * influence * influence
	}
	low, high := logitInterval(r.auc, inflation*variance)
	return &Figure{Value: r.auc, Low: low, High: high, Count: int64(math.Round(r.negatives + r.positives))}
}

// expectedLoss returns the mean loss of expected rows.
func expectedLoss(rows []Cell, inflation float64, of loss) *Figure {
	var count, sum, variance float64
	for _, c := range rows {
		ofNegative, ofPositive := of(c.Score)
		count += c.Predictions
		sum += c.Negatives*ofNegative + c.Positives*ofPositive
		variance += c.Negatives * c.Positives / c.Predictions * square(ofPositive-ofNegative)
	}
	return lossFigure(sum/count, inflation*variance/count/count, count)
}

// expectedShare returns the share of expected rows that are a success among those that
// count: both may depend on the label. The number of either is a sum of independent
// variables; the variance of their ratio is linearised. It is nil where no row counts.
func expectedShare(rows []Cell, inflation float64, success, counts func(c Cell, positive bool) bool) *Figure {
	one := func(c Cell, positive bool) (ofSuccesses, ofCount float64) {
		switch {
		case !counts(c, positive):
			return 0, 0
		case !success(c, positive):
			return 0, 1
		}
		return 1, 1
	}
	var count, successes, variance float64
	for _, c := range rows {
		ofNegative, negativeCounts := one(c, false)
		ofPositive, positiveCounts := one(c, true)
		count += c.Negatives*negativeCounts + c.Positives*positiveCounts
		successes += c.Negatives*ofNegative + c.Positives*ofPositive
	}
	if count == 0 {
		return nil
	}
	share := successes / count
	for _, c := range rows {
		ofNegative, negativeCounts := one(c, false)
		ofPositive, positiveCounts := one(c, true)
		influence := (ofPositive - share*positiveCounts) - (ofNegative - share*negativeCounts)
		variance += c.Negatives * c.Positives / c.Predictions * square(influence/count)
	}
	width := normal975*math.Sqrt(inflation*variance) + 0.5/count // half a row more, as rows are whole
	return &Figure{Value: share, Low: max(0, share-width), High: min(1, share+width), Count: int64(math.Round(count))}
}
