package learn

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Algorithm names a way to learn. Those of SageMaker are spelled as there.
type Algorithm string

const (
	// LinearLearner is logistic regression.
	LinearLearner Algorithm = "linear-learner"
	// XGBoost is gradient-boosted decision trees.
	XGBoost Algorithm = "xgboost"
	// Auto is the one of the two that is better on the data, or their blend. It
	// is asked for; a model has the algorithm that was chosen.
	Auto Algorithm = "auto"
	// Blend is the weighted sum of the log-odds of both. Only Auto makes it.
	Blend Algorithm = "blend"
)

// Model gives rows of numbers the probability that their label is 1. It never
// changes and is safe for concurrent use.
type Model struct {
	algorithm Algorithm
	columns   []string
	ignored   []string
	base      float64 // share of training labels that were 1

	// The log-odds are the sum of those of linear and forest, then calibrated.
	codes       *codes       // replaces codes of categories; may be nil
	linear      *linear      // may be nil
	forest      *forest      // may be nil where linear is not
	calibration *calibration // may be nil
	search      *Search      // what Auto tried; else nil
	single      bool         // numbers of rows are rounded to float32, as other programs do
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
// [0, 1]. It does not allocate, unless the model was made elsewhere or has coded
// columns.
//
// The row should be len(Columns()) finite numbers. Score cannot refuse one
// that is not, and answers what is known without it: a row of another width,
// or whose numbers overflow, scores as the share of positives in training.
func (m *Model) Score(row []float64) float64 {
	if len(row) != len(m.columns) {
		return m.base
	}
	margin := m.calibration.at(m.margin(m.input(row)))
	if math.IsNaN(margin) {
		return m.base
	}
	return sigmoid(margin)
}

// input returns row with the numbers that the model computes with.
func (m *Model) input(row []float64) []float64 {
	if m.codes != nil {
		row = m.codes.replaced(row)
	}
	if !m.single {
		return row
	}
	out := make([]float64, len(row))
	for j, x := range row {
		out[j] = float64(float32(x))
	}
	return out
}

// margin returns the log-odds of row before they are calibrated, NaN if they are
// undefined.
func (m *Model) margin(row []float64) float64 {
	margin := 0.0
	if m.linear != nil {
		margin = m.linear.margin(row)
	}
	if m.forest != nil {
		margin += m.forest.margin(row)
	}
	return margin
}

// Search returns what Auto tried to make the model, or nil if it did not make it.
func (m *Model) Search() *Search { return m.search }

// ErrUnexplained matches the reason why a model has no contributions.
var ErrUnexplained = errors.New("the model cannot be explained")

// Explains returns nil if the model has contributions, else why it has none: it was
// made by an earlier version, which did not store what SHAP values of trees need.
// The error matches ErrUnexplained.
func (m *Model) Explains() error {
	if m.forest != nil && !m.forest.explains() {
		return fmt.Errorf("%w: it was made by a version that did not store how much data reached the nodes of its trees; train a new one", ErrUnexplained)
	}
	return nil
}

// Contributions returns what each column of row adds to the log-odds, in the order
// of Columns. With Base they sum to the log-odds of Score(row).
//
// Of a linear model they are coefficient × (value − mean), of boosted trees SHAP
// values, of a blend the sums of both. A calibration maps log-odds to log-odds, so
// that it cannot be attributed to a column: it multiplies all contributions by its
// mean slope from Base to the score, and the sum stays exact.
//
// It returns nil for a row of another width, for one whose log-odds are undefined,
// and where Explains returns an error.
func (m *Model) Contributions(row []float64) []float64 {
	if len(row) != len(m.columns) || m.Explains() != nil {
		return nil
	}
	row = m.input(row)
	margin := m.margin(row)
	if !finite(margin) {
		return nil
	}
	out := make([]float64, len(m.columns))
	if m.linear != nil {
		m.linear.contributions(row, out)
	}
	if m.forest != nil {
		m.forest.explainer().contributions(row, out)
	}
	if m.calibration != nil {
		slope := m.calibration.slope(m.uncalibratedBase(), margin)
		for j := range out {
			out[j] *= slope
		}
	}
	return out
}

// Base returns the log-odds that contributions are counted from: those of a row of
// which nothing is known.
func (m *Model) Base() float64 { return m.calibration.at(m.uncalibratedBase()) }

func (m *Model) uncalibratedBase() float64 {
	base := 0.0
	if m.linear != nil {
		base = m.linear.margin(m.linear.mean)
	}
	if m.forest != nil && m.forest.explains() {
		base += m.forest.explainer().mean
	}
	return base
}

// Coefficients returns the intercept and the coefficient of each raw column,
// in log-odds and log-odds per unit of the column; ok is false for boosted
// trees.
func (m *Model) Coefficients() (intercept float64, coef []float64, ok bool) {
	if m.linear == nil || m.forest != nil {
		return 0, nil, false
	}
	return m.linear.intercept, slices.Clone(m.linear.coef), true
}
