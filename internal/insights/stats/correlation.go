package stats

import "math"

// Correlation accumulates Pearson's correlation of pairs of numbers in one pass. The
// zero value has no pairs.
type Correlation struct {
	count        float64
	x, y         moments
	sumOfXTimesY float64 // of the products of deviations from the means
}

// moments are those of one number of the pairs. The mean is kept as a difference from
// the first, so that numbers which differ little for their size keep their digits.
type moments struct {
	first       float64
	mean        float64 // less first
	sumOfSquare float64 // of deviations from the mean
	constant    bool
}

// Add takes a pair. Pairs with a NaN are left out.
func (c *Correlation) Add(x, y float64) {
	if math.IsNaN(x) || math.IsNaN(y) {
		return
	}
	c.Merge(Correlation{count: 1, x: moments{first: x, constant: true}, y: moments{first: y, constant: true}})
}

// Merge takes the pairs of another. Means and deviations are updated; sums of squares
// would cancel (Welford, Technometrics 4(3), 1962; in parts: Chan, Golub and LeVeque,
// The American Statistician 37(3), 1983).
func (c *Correlation) Merge(other Correlation) {
	switch {
	case other.count == 0:
		return
	case c.count == 0:
		*c = other
		return
	}
	count := c.count + other.count
	weight := c.count * other.count / count
	dx, dy := c.x.distance(other.x), c.y.distance(other.y)
	c.sumOfXTimesY += other.sumOfXTimesY + dx*dy*weight
	c.x.merge(other.x, dx, weight, other.count/count)
	c.y.merge(other.y, dy, weight, other.count/count)
	c.count = count
}

// distance is how far the mean of other is above that of m.
func (m moments) distance(other moments) float64 {
	return (other.first - m.first) + (other.mean - m.mean)
}

func (m *moments) merge(other moments, distance, weight, share float64) {
	m.mean += distance * share
	m.sumOfSquare += other.sumOfSquare + distance*distance*weight
	m.constant = m.constant && other.constant && m.first == other.first
}

// Count is the number of pairs.
func (c *Correlation) Count() int64 { return int64(c.count) }

// Value returns the correlation, from -1 to 1. There is none with less than two pairs,
// where either number is constant, or where the result is not finite.
func (c *Correlation) Value() (value float64, ok bool) {
	if c.count < 2 || c.x.constant || c.y.constant {
		return 0, false
	}
	value = c.sumOfXTimesY / math.Sqrt(c.x.sumOfSquare) / math.Sqrt(c.y.sumOfSquare)
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, false
	}
	return min(max(value, -1), 1), true
}
