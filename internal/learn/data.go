package learn

import "math"

// Dataset is a table of numbers with a yes-or-no label for every row.
type Dataset struct {
	Columns []string  // what each column is called, in order
	X       []float64 // the numbers, row after row: Rows() × len(Columns); NaN is missing
	Y       []float64 // the label of each row: 1 for yes, 0 for no
}

// Rows returns the number of labelled rows.
func (d Dataset) Rows() int { return len(d.Y) }

// Row returns the numbers of row i in the order of Columns. It is a view into
// X, not a copy.
func (d Dataset) Row(i int) []float64 {
	width := len(d.Columns)
	return d.X[i*width : (i+1)*width : (i+1)*width]
}

// table returns d as a Table, or the first reason why it cannot be learned from.
func (d Dataset) table() (*Table, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	rows := make([][]float64, d.Rows())
	for i := range rows {
		rows[i] = d.Row(i)
	}
	return TableOf(d.Columns, rows, d.Y), nil
}

// check reports the first reason why d cannot be learned from.
func (d Dataset) check() error {
	if err := checkSize(d.Columns, d.Rows()); err != nil {
		return err
	}
	if len(d.X) != d.Rows()*len(d.Columns) {
		return inputErrorf("training data has %d numbers; %d rows of %d columns need %d",
			len(d.X), d.Rows(), len(d.Columns), d.Rows()*len(d.Columns))
	}
	if err := checkLabels(d.Y); err != nil {
		return err
	}
	for k, x := range d.X {
		if math.IsInf(x, 0) {
			return inputErrorf("training data, row %d, column %q: %v is not a finite number",
				k/len(d.Columns)+1, d.Columns[k%len(d.Columns)], x)
		}
	}
	return nil
}

func checkSize(columns []string, rows int) error {
	switch {
	case len(columns) == 0:
		return inputErrorf("training data has no columns")
	case rows == 0:
		return inputErrorf("training data has no rows")
	case rows > math.MaxInt32:
		return inputErrorf("training data has %d rows; at most %d can be learned from", rows, math.MaxInt32)
	}
	return nil
}

func checkLabels(labels []float64) error {
	positives := 0
	for i, y := range labels {
		switch y {
		case 0:
		case 1:
			positives++
		default:
			return inputErrorf("training data, row %d: label is %v, not 0 or 1", i+1, y)
		}
	}
	if positives == 0 || positives == len(labels) {
		return inputErrorf("training data has one class only: all %d labels are %v", len(labels), labels[0])
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// sigmoid turns log-odds into a probability. It never overflows: for very
// negative z the exponential is +Inf and the quotient 0.
func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// logit turns a probability strictly between 0 and 1 into log-odds.
func logit(p float64) float64 { return math.Log(p) - math.Log1p(-p) }
