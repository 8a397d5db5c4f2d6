package scoring

import (
	"math"
	"time"
)

// What a call costs decides how many rows it should have. Where all calls take
// much the same, one takes all that waits. Where each row takes its time, a
// call that takes all leaves the other servers idle, and whoever is in it waits
// for everybody; and as those who were answered together come back together,
// calls merge and never part again. So the line
//
//	time of a call = base + rows × perRow
//
// is fitted to recent calls, by least squares. By it a call gets its share of all
// rows that are here, within two bounds: rows that take as long as the base, since
// with fewer most of the time goes into calls; and eight times as many, with
// which eight ninths of it go into rows, so that there is little more to gain.
//
// Calls that wait for a server take longer, and have the base look longer than it is.
// Calls that grew with it would wait even longer, so for their size it is no more
// than the lower quartile of what calls take beyond their rows. Where calls of one
// size have taught nothing of rows, they get their share.
//
// A stall of the process, the network or the endpoint makes calls long whatever
// their rows, and a line through such calls and others says that rows cost much.
// So a call far off the line counts as one that is just as far off as a call may be.
// Where several in a row are far off, all is learned anew, and calls that were
// under way then do not count.
//
// A row below minRow is taken for none. So much one may cost the gateway itself,
// and calls that wait for a busy gateway must not be taken for slow ones.
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
	// So many calls in a row that take farOff times as long as they should, or as
	// short, and all is learned anew: another model has come, or a stall has gone.
	minOff, farOff = 4, 3
	// minCalls is how many calls a line needs: so many that, where the first one
	// was part of a stall, all is learned anew before.
	minCalls = minOff + 1
	// minSpread is how much calls must differ in rows, as a share of the mean,
	// to tell the two parts of their cost apart.
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

// size is how many rows a call should have, where so many are here for so many
// slots; at most most.
func (c *cost) size(rows, slots, most int) int {
	share := float64(rows) / float64(slots)
	switch {
	case !c.known:
		share = max(share, smallRows)
	case !c.rowsCost():
		return most
	default:
		// In as many rounds as it takes, all alike.
		rounds := max(1, math.Ceil(share/(maxWorth*c.worth())))
		share = max(share/rounds, c.worth())
	}
	return min(most, int(math.Ceil(share)))
}

// beside is how many rows a call of small requests may have where it is filled
// up with those of large ones: so many that it takes twice its base.
func (c *cost) beside(most int) int {
	if !c.rowsCost() {
		return most
	}
	return min(most, int(math.Ceil(c.worth())))
}

// rowsCost reports whether rows are known to take their time.
func (c *cost) rowsCost() bool { return c.perRow >= minRow }

// time is what so many calls with so many rows in all take, one after the other.
func (c *cost) time(calls, rows int) time.Duration {
	return time.Duration((float64(calls)*c.base + float64(rows)*c.perRow) * float64(time.Second))
}

// worth is how many rows take as long as the base of a call.
func (c *cost) worth() float64 { return max(1, min(c.base, c.quartile)/c.perRow) }
