package stats

import (
	"fmt"
	"strings"
)

// What figures need: MinOutcomes outcomes in all, MinOfEitherLabel of either label.
const (
	MinOutcomes      = 30
	MinOfEitherLabel = 5
)

// A Figure is a value with a 95 % confidence interval.
type Figure struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Count int64   `json:"count"` // the rows that it is computed from
}

// Quality says how good predictions were, of those with an outcome.
type Quality struct {
	Outcomes  int64 `json:"outcomes"`
	Positives int64 `json:"positives"`

	AUC              *Figure `json:"auc"`
	LogLoss          *Figure `json:"log_loss"` // nats
	Brier            *Figure `json:"brier"`
	CalibrationError *Figure `json:"calibration_error"`
	Accuracy         *Figure `json:"accuracy"`
	Precision        *Figure `json:"precision"`
	Recall           *Figure `json:"recall"`

	// Insufficient says why figures are nil; empty where none is.
	Insufficient string `json:"insufficient,omitempty"`

	Calibration []CalibrationRow `json:"calibration"`
}

// A CalibrationRow compares scores within a tenth with what happened.
type CalibrationRow struct {
	From         float64  `json:"from"`
	To           float64  `json:"to"`
	Count        int64    `json:"count"` // predictions with an outcome
	MeanScore    *float64 `json:"mean_score"`
	PositiveRate *float64 `json:"positive_rate"`
	Low          *float64 `json:"low"` // of the rate; 95 %
	High         *float64 `json:"high"`
}

// Measure computes the quality of the predictions with an outcome. Its figures
// are nil with less than MinOutcomes outcomes, or MinOfEitherLabel of either
// label; precision also where no prediction is positive. The calibration table
// always has ten rows.
//
//   - AUC: positives and negatives of the same bin count half. The interval is
//     DeLong's (see auc.go).
//   - Log loss and Brier score: means of a loss a row; the interval comes from
//     the variance of the losses (see loss.go).
//   - Calibration error: the mean of |mean score − rate of positives| over ten
//     groups of about equal counts (see calibrationerror.go).
//   - Accuracy, precision, recall: from predicted labels, not from scores; the
//     interval is Wilson's (see proportion.go).
func Measure(cells []Cell) Quality {
	negatives, positives := labelCounts(cells)
	q := Quality{
		Outcomes:    int64(negatives + positives),
		Positives:   int64(positives),
		Calibration: calibrationTable(cells),
	}
	if q.Insufficient = insufficient(negatives, positives, "outcomes"); q.Insufficient != "" {
		return q
	}
	cells = byScore(cells)
	q.AUC = rank(cells).figure()
	q.LogLoss = observedLoss(cells, logLoss)
	q.Brier = observedLoss(cells, squaredLoss)
	q.CalibrationError = calibrationError(cells)
	c := confusionOf(cells)
	q.Accuracy = wilson(c.truePositives+c.trueNegatives, negatives+positives)
	q.Recall = wilson(c.truePositives, positives)
	if predicted := c.truePositives + c.falsePositives; predicted > 0 {
		q.Precision = wilson(c.truePositives, predicted)
	} else {
		q.Insufficient = "precision: no prediction of the positive label has an outcome"
	}
	return q
}

func labelCounts(cells []Cell) (negatives, positives float64) {
	for _, c := range cells {
		negatives += c.Negatives
		positives += c.Positives
	}
	return negatives, positives
}

// insufficient says what is missing for figures, of which rows; empty where nothing is.
func insufficient(negatives, positives float64, rows string) string {
	var missing []string
	for _, need := range []struct {
		have, want float64
		what       string
	}{
		{negatives + positives, MinOutcomes, rows},
		{positives, MinOfEitherLabel, "positive " + rows},
		{negatives, MinOfEitherLabel, "negative " + rows},
	} {
		if need.have < need.want {
			missing = append(missing, fmt.Sprintf("%.0f %s, %.0f are needed", need.have, need.what, need.want))
		}
	}
	return strings.Join(missing, "; ")
}
