package stats

import "math"

// Correlation accumulates Pearson's correlation of pairs of numbers in one pass. The
// zero value has no pairs.
type Correlation struct {
	count          float64
	meanX, meanY   float64
	sumXX, sumYY   float64 // of squared deviations from the means
	sumXY          float64 // of products of deviations
	constX, constY bool
	firstX, firstY float64
}

// Add takes a pair. Pairs with a NaN are left out.
//
// Means and deviations are updated, not sums of squares, which would cancel (Welford,
// Technometrics 4(3), 1962).
func (c *Correlation) Add(x, y float64) {
	if math.IsNaN(x) || math.IsNaN(y) {
		return
	}
	c.Merge(Correlation{count: 1, meanX: x, meanY: y, constX: true, constY: true, firstX: x, firstY: y})
}

// Merge takes the pairs of another (Chan, Golub and LeVeque, The American Statistician
// 37(3), 1983).
func (c *Correlation) Merge(other Correlation) {
	switch {
	case other.count == 0:
		return
	case c.count == 0:
		*c = other
		return
	}
	count := c.count + other.count
	dx, dy := other.meanX-c.meanX, other.meanY-c.meanY
	weight := c.count * other.count / count
	c.sumXX += other.sumXX + dx*dx*weight
	c.sumYY += other.sumYY + dy*dy*weight
	c.sumXY += other.sumXY + dx*dy*weight
	c.meanX += dx * other.count / count
	c.meanY += dy * other.count / count
	c.constX = c.constX && other.constX && c.firstX == other.firstX
	c.constY = c.constY && other.constY && c.firstY == other.firstY
	c.count = count
}

// Count is the number of pairs.
func (c *Correlation) Count() int64 { return int64(c.count) }

// Value returns the correlation, from -1 to 1. There is none with less than two pairs,
// where either number is constant, or where it is not finite.
func (c *Correlation) Value() (value float64, ok bool) {
	if c.count < 2 || c.constX || c.constY {
		return 0, false
	}
	value = c.sumXY / math.Sqrt(c.sumXX) / math.Sqrt(c.sumYY)
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, false
	}
	return min(max(value, -1), 1), true
}
