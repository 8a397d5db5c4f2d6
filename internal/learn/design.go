package learn

import "math"

// design is training data laid out for Newton's method: every column
// standardised, every row a list of its non-zero entries, the intercept a
// column like any other.
//
// Coefficient j of the standardised problem multiplies
//
//	z = (x − shift[j]) / scale[j],   x the raw value in column[j].
//
// Rows are lists because most columns of a one-hot encoded table are zero: the
// second derivatives then cost the square of the entries in a row, not of the
// columns. A column with many zeros is therefore not shifted, which would fill
// it; its shift is 0 and the free intercept absorbs the difference.
type design struct {
	column []int     // data column of each coefficient; -1 is the intercept
	shift  []float64 // in units of the column
	scale  []float64 // in units of the column, > 0

	start []int     // entries of row i are start[i] … start[i+1]-1
	index []int32   // coefficient of an entry, ascending within a row
	value []float64 // z of an entry

	label  []float64 // 0 or 1
	weight []float64 // of each row, divided by total; they sum to 1
	total  float64   // what the weights summed to before
}

const (
	// constantBelow is the standard deviation, relative to a column's largest
	// magnitude, at which differences are rounding and the column is constant.
	constantBelow = 1e-12
	// keepZerosFrom is the share of zeros from which a column is not shifted.
	// With a share q of zeros, |mean| / deviation is at most √((1−q)/q) by
	// Cauchy-Schwarz, so here at most √3: leaving the mean in does no harm to
	// the condition of the problem.
	keepZerosFrom = 0.25
)

// newDesign lays out data, given the summary of each column. Constant columns get no coefficient. Positive rows
// weigh positiveWeight times as much as negative ones. Without bias there is
// no intercept and nothing is shifted.
func newDesign(data *Table, summaries []summary, bias bool, positiveWeight float64) *design {
	d := &design{label: data.labels}
	perRow := 0.0
	if bias {
		perRow++
		d.column, d.shift, d.scale = []int{-1}, []float64{0}, []float64{1}
	}
	for j, s := range summaries {
		if s.deviation <= constantBelow*s.largest || math.IsInf(1/s.deviation, 0) {
			continue
		}
		shift := 0.0
		if bias && s.zeros < keepZerosFrom {
			shift = s.mean
			perRow++
		} else {
			perRow += 1 - s.zeros
		}
		d.column = append(d.column, j)
		d.shift = append(d.shift, shift)
		d.scale = append(d.scale, s.deviation)
	}
	d.fill(data, perRow)
	d.weigh(positiveWeight)
	return d
}

// width returns the number of coefficients, the intercept included.
func (d *design) width() int { return len(d.column) }

// fill lays out the rows. perRow is the mean number of entries in one.
func (d *design) fill(data *Table, perRow float64) {
	entries := int(perRow*float64(data.Rows())) + data.Rows()
	d.index, d.value = make([]int32, 0, entries), make([]float64, 0, entries)
	d.start = make([]int, 1, data.Rows()+1)
	row := make([]float64, len(data.columns))
	for i := range data.Rows() {
		data.ReadRow(i, row)
		for k, j := range d.column {
			z := 1.0
			if j >= 0 {
				// Divided first: the difference itself may overflow.
				z = row[j]/d.scale[k] - d.shift[k]/d.scale[k]
			}
			if z != 0 {
				d.index = append(d.index, int32(k))
				d.value = append(d.value, z)
			}
		}
		d.start = append(d.start, len(d.index))
	}
}

func (d *design) weigh(positiveWeight float64) {
	d.weight = make([]float64, len(d.label))
	for i, y := range d.label {
		d.weight[i] = 1
		if y == 1 {
			d.weight[i] = positiveWeight
		}
		d.total += d.weight[i]
	}
	for i := range d.weight {
		d.weight[i] /= d.total
	}
}

// raw maps the coefficients of the standardised problem back to the columns
// of the data: an intercept, and one coefficient for each of width columns.
// Columns without a coefficient get 0.
func (d *design) raw(beta []float64, width int) (intercept float64, coef []float64) {
	coef = make([]float64, width)
	for k, j := range d.column {
		if j < 0 {
			intercept += beta[k]
			continue
		}
		coef[j] = beta[k] / d.scale[k]
		intercept -= beta[k] * (d.shift[k] / d.scale[k])
	}
	return intercept, coef
}

// summary describes one column of numbers.
type summary struct {
	mean      float64
	deviation float64 // standard deviation, of the population
	largest   float64 // largest magnitude
	zeros     float64 // share of values that are 0
	indicator bool    // all values are 0 or 1
}

// summarise describes each column of data.
func summarise(data *Table) []summary {
	out := make([]summary, len(data.columns))
	data.eachColumn(func(j int, values []float64) { out[j] = summariseColumn(values) })
	return out
}

// summariseColumn describes values in two passes, after dividing them by the
// largest, so that neither sums nor squares can overflow.
func summariseColumn(values []float64) summary {
	s := summary{indicator: true}
	for _, x := range values {
		s.largest = max(s.largest, math.Abs(x))
		switch x {
		case 0:
			s.zeros++
		case 1:
		default:
			s.indicator = false
		}
	}
	n := float64(len(values))
	s.zeros /= n
	if s.largest == 0 {
		return s
	}
	var mean, variance float64
	for _, x := range values {
		mean += x / s.largest
	}
	mean /= n
	for _, x := range values {
		e := x/s.largest - mean
		variance += e * e
	}
	s.mean = mean * s.largest
	s.deviation = math.Sqrt(variance/n) * s.largest
	return s
}
