package learn

import (
	"math"
	"slices"
)

// Algorithm names a way to learn, spelled as on SageMaker.
type Algorithm string

const (
	// LinearLearner is logistic regression.
	LinearLearner Algorithm = "linear-learner"
	// XGBoost is gradient-boosted decision trees.
	XGBoost Algorithm = "xgboost"
)

// Model gives rows of numbers the probability that their label is 1. It never
// changes and is safe for concurrent use.
type Model struct {
	algorithm Algorithm
	columns   []string
	ignored   []string
	base      float64 // share of training labels that were 1
	linear    *linear // exactly one of the two is set
	forest    *forest
}

// Algorithm returns how the model was learned.
func (m *Model) Algorithm() Algorithm { return m.algorithm }

// Columns returns the names of the numbers in a row, in order.
func (m *Model) Columns() []string { return slices.Clone(m.columns) }

// Ignored returns, sorted, the hyperparameters that were given and are known
// on SageMaker but mean nothing to the solvers here.
func (m *Model) Ignored() []string { return slices.Clone(m.ignored) }

// Threshold returns the score from which a row is best called positive.
func (m *Model) Threshold() float64 { return 0.5 }

// Score returns the probability that row's label is 1: always a number in
// [0, 1]. It does not allocate.
//
// The row should be len(Columns()) finite numbers. Score cannot refuse one
// that is not, and answers what is known without it: a row of another width,
// or whose numbers overflow, scores as the share of positives in training.
func (m *Model) Score(row []float64) float64 {
	if len(row) != len(m.columns) {
		return m.base
	}
	var margin float64
	if m.linear != nil {
		margin = m.linear.margin(row)
	} else {
		margin = m.forest.margin(row)
	}
	if math.IsNaN(margin) {
		return m.base
	}
	return sigmoid(margin)
}

// Contributions returns what each column of row adds to the log-odds of a row
// of average columns, in the order of Columns: coefficient × (value − mean).
// It returns nil for boosted trees, which have no such sum, and for a row of
// another width.
func (m *Model) Contributions(row []float64) []float64 {
	if m.linear == nil || len(row) != len(m.columns) {
		return nil
	}
	return m.linear.contributions(row)
}

// Coefficients returns the intercept and the coefficient of each raw column,
// in log-odds and log-odds per unit of the column; ok is false for boosted
// trees.
func (m *Model) Coefficients() (intercept float64, coef []float64, ok bool) {
	if m.linear == nil {
		return 0, nil, false
	}
	return m.linear.intercept, slices.Clone(m.linear.coef), true
}
