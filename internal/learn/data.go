package learn

import "math"

// Dataset is a table of numbers with a yes-or-no label for every row.
type Dataset struct {
	Columns []string  // what each column is called, in order
	X       []float64 // the numbers, row after row: Rows() × len(Columns)
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

// columns returns the numbers column by column: a copy, each column in one
// piece, because both algorithms go over columns several times.
func (d Dataset) columns() [][]float64 {
	rows, width := d.Rows(), len(d.Columns)
	all := make([]float64, rows*width)
	parallel(shards, func(k int) {
		begin, end := shard(k, rows)
		for i := begin; i < end; i++ {
			for j, x := range d.Row(i) {
				all[j*rows+i] = x
			}
		}
	})
	out := make([][]float64, width)
	for j := range out {
		out[j] = all[j*rows : (j+1)*rows]
	}
	return out
}

// check reports the first reason why d cannot be learned from.
func (d Dataset) check() error {
	switch {
	case len(d.Columns) == 0:
		return inputErrorf("training data has no columns")
	case d.Rows() == 0:
		return inputErrorf("training data has no rows")
	case d.Rows() > math.MaxInt32:
		return inputErrorf("training data has %d rows; at most %d can be learned from", d.Rows(), math.MaxInt32)
	case len(d.X) != d.Rows()*len(d.Columns):
		return inputErrorf("training data has %d numbers; %d rows of %d columns need %d",
			len(d.X), d.Rows(), len(d.Columns), d.Rows()*len(d.Columns))
	}
	positives := 0
	for i, y := range d.Y {
		switch y {
		case 0:
		case 1:
			positives++
		default:
			return inputErrorf("training data, row %d: label is %v, not 0 or 1", i+1, y)
		}
	}
	if positives == 0 || positives == d.Rows() {
		return inputErrorf("training data has one class only: all %d labels are %v", d.Rows(), d.Y[0])
	}
	for k, x := range d.X {
		if !finite(x) {
			return inputErrorf("training data, row %d, column %q: %v is not a finite number",
				k/len(d.Columns)+1, d.Columns[k%len(d.Columns)], x)
		}
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// sigmoid turns log-odds into a probability. It never overflows: for very
// negative z the exponential is +Inf and the quotient 0.
func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// logit turns a probability strictly between 0 and 1 into log-odds.
func logit(p float64) float64 { return math.Log(p) - math.Log1p(-p) }
