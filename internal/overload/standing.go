package overload

import "time"

// A queue that is long for a moment is what queues are for: a burst is answered
// a little later. A queue that stays long is overload: it makes everybody wait
// and nobody faster. So, as in CoDel (RFC 8289), what counts is for how long it
// has been longer than it should.
//
// It should be no longer than a call takes: then as many calls wait as are in
// flight, enough to keep the endpoint busy. Where it has been longer for
// standingFor it is standing, and nobody is let in who would wait for longer
// than that, until for standingFor nobody had to be refused. At other times
// callers' patience is the bound.
//
// A stall of this process is no overload. While it does not run nothing is
// answered and nobody is seen to wait, so the time between two looks counts for
// lookMax at most.
//
// A stall of the endpoint is another matter: how long it will be nobody can say,
// and when it is over the whole queue leaves at once. What is known is how long it
// has been, and the best guess of the rest is as much again. So a short one is
// waited out, and in a longer one nobody is let in who would, by that guess, have
// waited too long.
// It is believed when it has been seen for standingFor: before that, it may be this
// process that has just come to, and the answers are there to be read.
const (
	standingFor = 100 * time.Millisecond
	minWait     = 5 * time.Millisecond // below that a queue is nobody's trouble
	lookEvery   = time.Millisecond
	lookMax     = standingFor / 4
)

// standing watches a queue. It is guarded by its Limit.
type standing struct {
	look     func() Queue
	patience time.Duration

	looked   time.Time
	busy     time.Time // when somebody waited, for the last time
	good     time.Time // when it was no longer than it should be, for the last time
	bad      time.Time // when it was
	silent   time.Time // since when no call has ended for too long; zero: it is not so
	standing bool
	wait     time.Duration
	all      time.Duration
	rowsLong bool          // all is more than callers' patience
	most     time.Duration // that it may be now
	full     bool
	still    time.Duration
	stuck    bool
}

// refresh looks at the queue, unless that was done a moment ago.
func (q *standing) refresh(now time.Time) {
	since := now.Sub(q.looked)
	if q.look == nil || since < lookEvery {
		return
	}
	if since >= standingFor { // nobody has come for so long
		q.good, q.standing = now, false
	} else if since > lookMax {
		q.good = q.good.Add(since - lookMax)
	}
	state := q.look()
	q.looked, q.wait, q.all = now, state.Wait, state.All
	q.rowsLong = q.all > q.patience
	if state.Rows > 0 {
		q.busy = now
	}
	target := max(minWait, state.Call)
	if q.wait <= target || state.Still > 4*target { // in a stall the length says nothing
		q.good = now
	} else {
		q.bad = now
	}
	if q.standing {
		q.standing = now.Sub(q.bad) < standingFor
	} else {
		q.standing = now.Sub(q.good) >= standingFor
	}
	q.most = max(target, q.patience)
	if q.standing {
		q.most = target
	}
	q.full = q.wait > q.most
	q.still = state.Still
	if q.still <= 2*max(q.patience, state.Call)-standingFor {
		q.silent = time.Time{}
	} else if q.silent.IsZero() {
		q.silent = now
	}
	q.stuck = state.Probes || !q.silent.IsZero() && now.Sub(q.silent) >= standingFor
}

// tooLong reports whether a request should not join the queue. A caller who
// has less than its share of what is here is not the cause, and may join one
// that is up to four times as long.
func (q *standing) tooLong(modest bool) bool {
	return q.full && (!modest || q.wait > 4*q.most)
}
