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
	var negatives, positives float64
	expected := func(c Cell) (ofNegatives, ofPositives float64) {
		p := calibration.Rate(c.Score)
		return c.Predictions * (1 - p), c.Predictions * p
	}
	for _, c := range cells {
		ofNegatives, ofPositives := expected(c)
		negatives += ofNegatives
		positives += ofPositives
	}
	e := Estimate{Predictions: int64(math.Round(negatives + positives))}
	if e.Insufficient = insufficient(negatives, positives); e.Insufficient != "" {
		return e
	}
	e.AUC = rank(cells, expected).expectedFigure(calibration.inflation(negatives + positives))
	e.LogLoss = expectedLoss(cells, calibration, logLoss)
	e.Brier = expectedLoss(cells, calibration, squaredLoss)
	correct := func(c Cell, positive bool) bool { return c.PredictedPositive == positive }
	e.Accuracy = expectedShare(cells, calibration, correct, func(Cell, bool) bool { return true })
	e.Recall = expectedShare(cells, calibration, correct, func(_ Cell, positive bool) bool { return positive })
	e.Precision = expectedShare(cells, calibration, correct, func(c Cell, _ bool) bool { return c.PredictedPositive })
	if e.Precision == nil {
		e.Insufficient = "precision: no prediction is positive"
	}
	return e
}

// expectedFigure returns the AUC of a ranking of expected rows. Its variance is that
// of labels drawn anew: a row whose label changes from negative to positive moves the
// AUC by its influence, the difference of its placements' deviations.
func (r ranking) expectedFigure(inflation float64) *Figure {
	variance := 0.0
	for _, c := range r.cells {
		count := c.negatives + c.positives
		p := c.positives / count
		influence := (c.positivesPlacement-r.auc)/r.positives - (c.negativesPlacement-r.auc)/r.negatives
		variance += count * p * (1 - p) * influence * influence
	}
	low, high := logitInterval(r.auc, inflation*variance)
	return &Figure{Value: r.auc, Low: low, High: high, Count: int64(math.Round(r.negatives + r.positives))}
}

// inflation is by how much the labels of held-out rows add to the variance of a figure
// of so many predictions.
func (c *Calibration) inflation(predictions float64) float64 {
	if c == nil {
		return 1
	}
	return 1 + predictions/c.HeldOut
}

// expectedLoss returns the mean loss that is expected of rows.
func expectedLoss(cells []Cell, calibration *Calibration, of loss) *Figure {
	var count, sum, variance float64
	for _, c := range cells {
		p := calibration.Rate(c.Score)
		ofNegative, ofPositive := of(c.Score)
		count += c.Predictions
		sum += c.Predictions * ((1-p)*ofNegative + p*ofPositive)
		variance += c.Predictions * p * (1 - p) * square(ofPositive-ofNegative)
	}
	return lossFigure(sum/count, calibration.inflation(count)*variance/count/count, count)
}

// expectedShare returns the share of rows that are a success among those that count:
// both may depend on the label. The number of either is a sum of independent
// variables; the variance of their ratio is linearised. It is nil where no row counts.
func expectedShare(cells []Cell, calibration *Calibration, success, counts func(c Cell, positive bool) bool) *Figure {
	var predictions, count, successes float64
	each := func(visit func(rows, p float64, successes, counts [2]float64)) {
		for _, c := range cells {
			var s, n [2]float64
			for label := range 2 {
				if counts(c, label == 1) {
					n[label] = 1
					if success(c, label == 1) {
						s[label] = 1
					}
				}
			}
			visit(c.Predictions, calibration.Rate(c.Score), s, n)
		}
	}
	each(func(rows, p float64, s, n [2]float64) {
		predictions += rows
		count += rows * ((1-p)*n[0] + p*n[1])
		successes += rows * ((1-p)*s[0] + p*s[1])
	})
	if count == 0 {
		return nil
	}
	share, variance := successes/count, 0.0
	each(func(rows, p float64, s, n [2]float64) {
		influence := (s[1] - share*n[1]) - (s[0] - share*n[0])
		variance += rows * p * (1 - p) * square(influence/count)
	})
	width := normal975*math.Sqrt(calibration.inflation(predictions)*variance) + 0.5/count // half a row more, as rows are whole
	return &Figure{Value: share, Low: max(0, share-width), High: min(1, share+width), Count: int64(math.Round(count))}
}
