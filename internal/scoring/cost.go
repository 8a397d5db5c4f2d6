package scoring

import (
	"math"
	"time"
)

// The cost of a call decides how many rows it should have. If all calls take about
// the same time, a call takes all rows that wait. If each row takes time, a call
// with all rows leaves the other servers idle, and each of its requests waits for
// all rows. Closed-loop callers that were answered together also return together,
// so such calls merge and do not separate again. So the line
//
//	time of a call = base + rows × perRow
//
// is fitted to recent calls by least squares. A call gets its share of all queued
// rows within two bounds: at least the rows that take as long as the base, since
// with fewer most of the time is overhead; and at most eight times as many, where
// eight ninths of the time are spent on rows and larger calls gain little.
//
// Calls that wait for a server take longer, which raises the fitted base. Calls
// that grew with it would wait even longer. So the base that decides the size is
// at most the lower quartile of the time that calls take beyond their rows. While
// all calls have had one size, the slope is unknown, and a call gets its share.
//
// A stall of the process, the network or the endpoint makes calls long for any
// number of rows, and a line through such calls and others would have a steep
// slope. So a call far off the line is clamped to the largest deviation allowed.
// After several such calls in a row the estimate starts anew, and calls that were
// under way then are ignored.
//
// A perRow below minRow counts as zero. The gateway itself may need that time, and
// calls that wait for a busy gateway must not count as slow.
type cost struct {
	// Means of recent calls: rows, seconds, and the products for the line.
	calls                          int
	rows, took, rowsRows, rowsTook float64
	off                            int       // calls, the last ones
	since                          time.Time // calls that began before teach nothing

	base, perRow float64 // seconds
	quartile     float64 // of what a call takes beyond its rows
	known        bool    // that is, enough calls of several sizes have been seen
}

const (
	minRow = 250e-6
	// costMemory is how many calls the means are of, roughly.
	costMemory = 64
	// After minOff calls in a row that take farOff times the expected time, or a
	// farOff-th of it, the estimate starts anew: the model has changed, or a stall
	// has ended.
	minOff, farOff = 4, 3
	// minCalls is how many calls a line needs. It exceeds minOff, so that an
	// estimate which began with a stalled call starts anew before it has a slope.
	minCalls = minOff + 1
	// minSpread is the minimum standard deviation of the rows of calls, as a share
	// of their mean, at which a slope is fitted.
	minSpread = 0.2
	// maxWorth is how much longer the rows of a call may take than its base.
	maxWorth = 8
	// quartileStep is by what share of itself the quartile moves with a call.
	quartileStep = 0.1
)

// observe learns from a call that was answered.
func (c *cost) observe(rows int, begun time.Time, took time.Duration) {
	if begun.Before(c.since) {
		return
	}
	n, t := float64(rows), took.Seconds()
	expected := c.base + n*c.perRow
	if c.calls == 0 || (t <= farOff*expected && t >= expected/farOff) {
		c.off = 0
	} else if c.off++; c.off >= minOff {
		*c = cost{since: begun.Add(took)}
	} else {
		t = max(min(t, farOff*expected), expected/farOff)
	}
	c.fit(n, t)
	switch rest := max(0, t-c.perRow*n); {
	case c.calls == 1:
		c.quartile = rest
	case rest < c.quartile:
		c.quartile -= 0.75 * quartileStep * c.quartile
	default:
		c.quartile += 0.25 * quartileStep * max(c.quartile, minRow)
	}
}

// fit fits the line to one call more, of n rows that took t seconds.
func (c *cost) fit(n, t float64) {
	c.calls = min(c.calls+1, costMemory)
	weight := 1 / float64(c.calls)
	c.rows += (n - c.rows) * weight
	c.took += (t - c.took) * weight
	c.rowsRows += (n*n - c.rowsRows) * weight
	c.rowsTook += (n*t - c.rowsTook) * weight
	variance := c.rowsRows - c.rows*c.rows
	if c.off == 0 && c.calls >= minCalls && variance >= minSpread*minSpread*c.rows*c.rows {
		c.perRow = max(0, (c.rowsTook-c.rows*c.took)/variance)
		c.known = true
	}
	c.base = max(0, c.took-c.perRow*c.rows)
}

// size returns how many rows a call should have, at most maxRows, when rows are
// queued for a number of slots.
func (c *cost) size(rows, slots, maxRows int) int {
	share := float64(rows) / float64(slots)
	switch {
	case !c.known:
		share = max(share, smallRows)
	case !c.rowsCost():
		return maxRows
	default:
		// In as many rounds as it takes, all alike.
		rounds := max(1, math.Ceil(share/(maxWorth*c.worth())))
		share = max(share/rounds, c.worth())
	}
	return min(maxRows, int(math.Ceil(share)))
}

// beside returns how many rows a call of small requests may have after it was
// filled up with rows of large ones: with these it takes twice its base.
func (c *cost) beside(maxRows int) int {
	if !c.rowsCost() {
		return maxRows
	}
	return min(maxRows, int(math.Ceil(c.worth())))
}

// rowsCost reports whether the time of a call depends on its rows.
func (c *cost) rowsCost() bool { return c.perRow >= minRow }

// time returns how long a number of calls with rows rows in all take, one after
// the other.
func (c *cost) time(calls, rows int) time.Duration {
	return time.Duration((float64(calls)*c.base + float64(rows)*c.perRow) * float64(time.Second))
}

// worth returns how many rows take as long as the base of a call.
func (c *cost) worth() float64 { return max(1, min(c.base, c.quartile)/c.perRow) }
