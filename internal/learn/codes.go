package learn

import (
	"math"
	"slices"
)

// # Coded columns
//
// A coded column has categories: whole numbers from 0 that only tell rows apart. Before
// a model learns from it, each code is replaced with its statistic, the log-odds of
//
//	(positives + weight·rate) / (rows + weight)
//
// of the rows of the code, where rate is that of all rows (Micci-Barreca, A Preprocessing
// Scheme for High-Cardinality Categorical Attributes, SIGKDD Explorations 3(1), 2001).
//
// A statistic that includes the label of a row would tell it to the model. So the
// training data is divided into codeFolds parts, and a row's code is replaced with the
// statistic of the rows of the other parts. In cross-validation a part that is held
// out has a share in no statistic. A row that is scored gets the statistic of all
// training rows.

const (
	// codeFolds is how many parts the statistics of training rows come from.
	codeFolds = 5
	// codeStream is the stream of random numbers that divides the rows into them.
	codeStream = math.MaxUint64 - 2
	// maxCode is the greatest code.
	maxCode = 1<<20 - 1
)

// codeWeights are the weights of the rate of all rows that are compared. The greatest
// leaves next to nothing of a code's own rate.
var codeWeights = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000}

// codes replaces the codes of a model's rows with their statistics.
type codes struct {
	columns []codedColumn // in ascending order
	other   float64       // statistic of codes that no training row has
}

// codedColumn has the statistics of one column by code.
type codedColumn struct {
	column int
	values []float64
}

// statistic returns what replaces a code.
func (c *codes) statistic(one *codedColumn, code float64) float64 {
	if code >= 0 && code < float64(len(one.values)) && code == math.Trunc(code) {
		return one.values[int(code)]
	}
	return c.other
}

// replaced returns a copy of row with statistics in place of codes.
func (c *codes) replaced(row []float64) []float64 {
	out := slices.Clone(row)
	for i := range c.columns {
		one := &c.columns[i]
		out[one.column] = c.statistic(one, row[one.column])
	}
	return out
}

// check reports why c cannot be used with rows of the given width.
func (c *codes) check(width int) error {
	if !finite(c.other) || len(c.columns) == 0 {
		return artifactErrorf("model has %d coded columns and the statistic %v of other codes", len(c.columns), c.other)
	}
	last := -1
	for _, one := range c.columns {
		if one.column <= last || one.column >= width {
			return artifactErrorf("model has a coded column %d after %d, of %d", one.column, last, width)
		}
		last = one.column
		if !allFinite(one.values) {
			return artifactErrorf("coded column %d has a statistic that is not finite", one.column)
		}
	}
	return nil
}

func allFinite(values []float64) bool {
	return !slices.ContainsFunc(values, func(x float64) bool { return !finite(x) })
}

// checkCoded reports why columns of a table cannot be coded.
func (t *Table) checkCoded(coded []int) error {
	for k, j := range coded {
		if j < 0 || j >= len(t.columns) || k > 0 && j <= coded[k-1] {
			return inputErrorf("coded columns %v: they must be ascending, and of %d columns", coded, len(t.columns))
		}
		for _, numbers := range [][]float64{t.packed[j].distinct, t.packed[j].wide} {
			for _, x := range numbers {
				if !(x >= 0 && x <= maxCode && x == math.Trunc(x)) {
					return inputErrorf("training data, column %q: the code %v is not a whole number from 0 to %d", t.columns[j], x, maxCode)
				}
			}
		}
	}
	return nil
}

// tally counts the rows of a code.
type tally struct{ rows, positives float64 }

func (t tally) less(o tally) tally { return tally{t.rows - o.rows, t.positives - o.positives} }

// coder codes the columns of a table.
type coder struct {
	data  *Table
	coded []int
	parts folds
}

func newCoder(data *Table, coded []int, seed uint64) *coder {
	return &coder{data: data, coded: coded, parts: dealt(data.labels, codeFolds, seed, codeStream)}
}

// table returns the data with statistics in place of codes, and the codes of rows that
// are not in it. The rows that are held have a share in no statistic, and have those
// of all other rows; held may be nil.
func (c *coder) table(held []bool) (*Table, *codes) {
	isHeld := func(i int) bool { return held != nil && held[i] }
	out := &Table{columns: c.data.columns, labels: c.data.labels, packed: slices.Clone(c.data.packed)}
	all := &codes{columns: make([]codedColumn, len(c.coded))}
	var sum tally
	for i, y := range c.data.labels {
		if !isHeld(i) {
			sum = tally{sum.rows + 1, sum.positives + y}
		}
	}
	all.other = logit(sum.rate())
	parallel(len(c.coded), func(k int) {
		column := &c.data.packed[c.coded[k]]
		total, parts := c.count(column, isHeld)
		all.columns[k] = codedColumn{c.coded[k], statistics(total)}
		others := make([][]float64, codeFolds)
		for part := range parts {
			rest := make([]tally, len(total))
			for code := range rest {
				rest[code] = total[code].less(parts[part][code])
			}
			others[part] = statistics(rest)
		}
		var p packed
		for i := range c.data.labels {
			from := all.columns[k].values
			if !isHeld(i) {
				from = others[c.parts.of[i]]
			}
			p.append(from[int(column.at(i))])
		}
		p.codes = nil
		out.packed[c.coded[k]] = p
	})
	return out, all
}

// count counts the rows of each code, in all and by part.
func (c *coder) count(column *packed, isHeld func(i int) bool) (total []tally, parts [][]tally) {
	codes := 0
	for i := range c.data.labels {
		codes = max(codes, int(column.at(i))+1)
	}
	total, parts = make([]tally, codes), make([][]tally, codeFolds)
	for part := range parts {
		parts[part] = make([]tally, codes)
	}
	for i, y := range c.data.labels {
		if isHeld(i) {
			continue
		}
		for _, of := range [][]tally{total, parts[c.parts.of[i]]} {
			t := &of[int(column.at(i))]
			t.rows, t.positives = t.rows+1, t.positives+y
		}
	}
	return total, parts
}

// rate returns the share of positives, kept off 0 and 1.
func (t tally) rate() float64 { return (t.positives + 0.5) / (t.rows + 1) }

// statistics returns the statistic of each code.
func statistics(tallies []tally) []float64 {
	var sum tally
	for _, t := range tallies {
		sum = tally{sum.rows + t.rows, sum.positives + t.positives}
	}
	rate := sum.rate()
	weight := bestWeight(tallies, rate)
	out := make([]float64, len(tallies))
	for code, t := range tallies {
		out[code] = logit((t.positives + weight*rate) / (t.rows + weight))
	}
	return out
}

// bestWeight returns the weight of the lowest log loss where each row is predicted from
// the other rows of its code.
func bestWeight(tallies []tally, rate float64) float64 {
	best, lowest := codeWeights[len(codeWeights)-1], math.Inf(1)
	for _, weight := range slices.Backward(codeWeights) {
		loss := 0.0
		for _, t := range tallies {
			if t.positives > 0 {
				loss -= t.positives * math.Log((t.positives-1+weight*rate)/(t.rows-1+weight))
			}
			if negatives := t.rows - t.positives; negatives > 0 {
				loss -= negatives * math.Log((negatives-1+weight*(1-rate))/(t.rows-1+weight))
			}
		}
		if loss < lowest {
			best, lowest = weight, loss
		}
	}
	return best
}
