package learn

import "context"

// linear is a fitted logistic regression in the units of the data:
//
//	log-odds = intercept + Σⱼ coef[j]·x[j]
type linear struct {
	intercept float64
	coef      []float64
	mean      []float64 // of each column in training
}

// margin returns the log-odds of row, NaN if they are undefined.
func (l *linear) margin(row []float64) float64 {
	m := l.intercept
	for j, c := range l.coef {
		m += c * row[j]
	}
	return m
}

// contributions adds to out what each column of row adds to the log-odds of the
// average training row.
func (l *linear) contributions(row, out []float64) {
	for j, c := range l.coef {
		out[j] += c * (row[j] - l.mean[j])
	}
}

// trainLinear fits a logistic regression by Newton's method on standardised
// columns. See linearSettings for what is minimised. Missing numbers are an error
// that matches ErrInput.
func trainLinear(ctx context.Context, data *Table, s linearSettings, progress func(done, total int)) (*linear, error) {
	if j := data.missing(); j >= 0 {
		return nil, inputErrorf("training data, column %q: numbers are missing, which linear-learner cannot learn from; fill them in and mark them in a column of their own, or use xgboost",
			data.columns[j])
	}
	positiveWeight := s.positiveWeight
	if s.balanced {
		rate := positiveRate(data.labels)
		positiveWeight = (1 - rate) / rate
	}
	summaries := summarise(data)
	d := newDesign(data, summaries, s.bias, positiveWeight)
	l1, l2 := s.penalties(d, summaries)
	beta := make([]float64, d.width())
	if s.bias { // it comes first, and starts at the base rate
		beta[0] = logit(weightedRate(d))
	}
	var err error
	if d.dual(l1, l2) {
		err = d.minimiseDual(ctx, l2, beta, s.epochs, progress)
	} else {
		err = minimise(ctx, newLogisticLoss(d, l1, l2), beta, s.epochs, progress)
	}
	if err != nil {
		return nil, err
	}
	l := &linear{mean: make([]float64, len(data.columns))}
	l.intercept, l.coef = d.raw(beta, len(data.columns))
	for j := range l.mean {
		l.mean[j] = summaries[j].mean
		if !finite(l.coef[j]) || !finite(l.intercept) {
			return nil, inputErrorf("column %q: its numbers are too large or too small for a coefficient", data.columns[j])
		}
	}
	return l, nil
}

// penalties returns the penalties of the coefficients of d.
func (s linearSettings) penalties(d *design, summaries []summary) (l1, l2 []float64) {
	wd := s.wd
	if wd == autoPenalty {
		wd = s.shrink / d.total
	}
	l1, l2 = make([]float64, d.width()), make([]float64, d.width())
	for k, j := range d.column {
		switch {
		case j < 0: // the intercept has none
		case s.normalize && !summaries[j].indicator:
			l1[k], l2[k] = s.l1, wd
		default:
			// The same penalty on the coefficient of the raw column, which is
			// beta / scale.
			l1[k], l2[k] = s.l1/d.scale[k], wd/d.scale[k]/d.scale[k]
		}
	}
	return l1, l2
}

// positiveRate returns the share of labels that are 1.
func positiveRate(labels []float64) float64 {
	sum := 0.0
	for _, y := range labels {
		sum += y
	}
	return sum / float64(len(labels))
}

// weightedRate returns the share of the weight that positive rows have, kept
// away from certainty.
func weightedRate(d *design) float64 {
	sum := 0.0
	for i, y := range d.label {
		sum += y * d.weight[i]
	}
	return min(max(sum, 1e-9), 1-1e-9)
}
