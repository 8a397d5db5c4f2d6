package learn

import (
	"cmp"
	"slices"
)

// calibration maps log-odds to log-odds that agree better with the rates of
// positives. It goes through points in straight lines, always upwards, so that
// rows keep their order; before the first and after the last point it shifts.
type calibration struct {
	from []float64 // ascending
	to   []float64 // ascending
}

// at returns the calibrated log-odds. The nil calibration changes nothing.
func (c *calibration) at(margin float64) float64 {
	if c == nil {
		return margin
	}
	last := len(c.from) - 1
	switch {
	case margin <= c.from[0]:
		return c.to[0] + (margin - c.from[0])
	case margin >= c.from[last]:
		return c.to[last] + (margin - c.from[last])
	}
	k, _ := slices.BinarySearch(c.from, margin) // from[k-1] < margin ≤ from[k]
	share := (margin - c.from[k-1]) / (c.from[k] - c.from[k-1])
	return c.to[k-1] + share*(c.to[k]-c.to[k-1])
}

// slope returns the mean slope of c from a to b: what differences of log-odds are
// multiplied by on the way.
func (c *calibration) slope(a, b float64) float64 {
	if c == nil || a == b {
		return 1
	}
	return (c.at(b) - c.at(a)) / (b - a)
}

// check reports why c cannot be used.
func (c *calibration) check() error {
	if len(c.from) == 0 || len(c.from) != len(c.to) {
		return artifactErrorf("calibration has %d points with %d values", len(c.from), len(c.to))
	}
	for k := range c.from {
		if !finite(c.from[k]) || !finite(c.to[k]) || k > 0 && !(c.from[k] > c.from[k-1] && c.to[k] > c.to[k-1]) {
			return artifactErrorf("calibration does not rise at point %d", k)
		}
	}
	return nil
}

const (
	// calibrationRows is how many rows each point is made of, at least, and
	// calibrationPoints how many points there are, at most.
	calibrationRows   = 200
	calibrationPoints = 40
)

// fitIsotonic makes a calibration from the log-odds of rows outside of the fold
// left out (of is nil for all rows). Rows of about equal log-odds make a point, and
// points where the rate of positives would fall are joined (the algorithm of pool
// adjacent violators; Zadrozny and Elkan, KDD 2002). It returns nil where rows are
// too few.
func fitIsotonic(margins, labels []float64, of []uint8, leftOut int) *calibration {
	var order []int
	for i := range margins {
		if of == nil || int(of[i]) != leftOut {
			order = append(order, i)
		}
	}
	size := max(calibrationRows, (len(order)+calibrationPoints-1)/calibrationPoints)
	if len(order) < 5*size {
		return nil
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(margins[a], margins[b]) })
	type pool struct{ rows, margin, positives, expected float64 }
	rate := func(p pool) float64 {
		// One row of the expected rate keeps it off 0 and 1.
		return (p.positives + p.expected/p.rows) / (p.rows + 1)
	}
	var pools []pool
	for begin := 0; begin < len(order); {
		end := min(begin+size, len(order))
		if len(order)-end < size/2 {
			end = len(order)
		}
		for end < len(order) && margins[order[end]] == margins[order[end-1]] {
			end++
		}
		var p pool
		for _, i := range order[begin:end] {
			p.rows++
			p.margin += margins[i]
			p.positives += labels[i]
			p.expected += sigmoid(margins[i])
		}
		pools = append(pools, p)
		for n := len(pools); n > 1 && rate(pools[n-2]) >= rate(pools[n-1]); n-- {
			a, b := pools[n-2], pools[n-1]
			pools = append(pools[:n-2], pool{a.rows + b.rows, a.margin + b.margin, a.positives + b.positives, a.expected + b.expected})
		}
		begin = end
	}
	c := &calibration{}
	for _, p := range pools {
		c.from = append(c.from, p.margin/p.rows)
		c.to = append(c.to, logit(min(max(rate(p), minProbability), 1-minProbability)))
	}
	if c.check() != nil {
		return nil
	}
	return c
}

// crossIsotonic returns the log loss of margins after calibrations that were each
// fitted to the other folds.
func (v *validation) crossIsotonic(margins []float64) (loss float64, ok bool) {
	calibrated := make([]float64, len(margins))
	for k := range v.folds.count {
		c := fitIsotonic(margins, v.labels, v.folds.of, k)
		if c == nil {
			return 0, false
		}
		for i, part := range v.folds.of {
			if int(part) == k {
				calibrated[i] = c.at(margins[i])
			}
		}
	}
	return marginLoss(calibrated, v.labels), true
}
