package admission

import "time"

// A queue that is long for a moment absorbs a burst, whose requests are answered a
// little later. A queue that stays long is overload: all requests wait, and none is
// answered earlier. So, as in CoDel (RFC 8289), the time for which the queue has
// been above its target decides.
//
// The target is the time of a call: then as many calls wait as are in flight, which
// suffices to keep the endpoint busy. If the wait has been above the target for
// standingFor, the queue is a standing queue. A request that would wait longer than
// the target is refused then, until no request had to be refused for standingFor.
// At other times Options.MaxQueueWait is the bound.
//
// A stall of this process is not overload. While the process does not run, nothing
// is answered and no wait is observed, so the time between two observations counts
// for maxObserved at most.
//
// A stall of the endpoint is different: its duration is unknown, and when it ends,
// the whole queue is sent at once. The best estimate of the rest of a stall is the
// time that it has lasted. So a short stall is waited out. In a longer one a
// request is refused if, by that estimate, it would wait too long. The stall must
// have been observed for standingFor: before that, this process may have been
// stalled itself and not have read the answers yet.
const (
	standingFor = 100 * time.Millisecond
	minWait     = 5 * time.Millisecond // shorter waits are ignored
	lookEvery   = time.Millisecond
	maxObserved = standingFor / 4
)

// standingQueue observes the queue of a Limit, whose lock guards it.
type standingQueue struct {
	look         func() Queue
	maxQueueWait time.Duration

	looked   time.Time
	busy     time.Time // when the queue was last not empty
	good     time.Time // when the wait was last within the target
	bad      time.Time // when the wait was last above the target
	silent   time.Time // since when no call has ended for too long; zero: calls end
	standing bool
	wait     time.Duration
	all      time.Duration
	rowsLong bool          // all exceeds maxQueueWait
	maxWait  time.Duration // bound of the wait at present
	full     bool
	stalled  time.Duration
	stuck    bool
}

// refresh observes the queue, unless that was done less than lookEvery ago.
func (q *standingQueue) refresh(now time.Time) {
	since := now.Sub(q.looked)
	if q.look == nil || since < lookEvery {
		return
	}
	if since >= standingFor { // no request has arrived for that time
		q.good, q.standing = now, false
	} else if since > maxObserved {
		q.good = q.good.Add(since - maxObserved)
	}
	state := q.look()
	q.looked, q.wait, q.all = now, state.Wait, state.All
	q.rowsLong = q.all > q.maxQueueWait
	if state.Rows > 0 {
		q.busy = now
	}
	target := max(minWait, state.Call)
	if q.wait <= target || state.StalledFor > 4*target { // in a stall the wait is no sign of overload
		q.good = now
	} else {
		q.bad = now
	}
	if q.standing {
		q.standing = now.Sub(q.bad) < standingFor
	} else {
		q.standing = now.Sub(q.good) >= standingFor
	}
	q.maxWait = max(target, q.maxQueueWait)
	if q.standing {
		q.maxWait = target
	}
	q.full = q.wait > q.maxWait
	q.stalled = state.StalledFor
	if q.stalled <= 2*max(q.maxQueueWait, state.Call)-standingFor {
		q.silent = time.Time{}
	} else if q.silent.IsZero() {
		q.silent = now
	}
	q.stuck = state.Trial || !q.silent.IsZero() && now.Sub(q.silent) >= standingFor
}

// tooLong reports whether a request should not join the queue. A caller that has
// less than its fair share of the queued requests is not the cause, and may join a
// queue that is up to four times as long.
func (q *standingQueue) tooLong(modest bool) bool {
	return q.full && (!modest || q.wait > 4*q.maxWait)
}
