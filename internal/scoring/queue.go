package scoring

import (
	"context"
	"sync"
	"time"

	"gateway/internal/callctx"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// waiter is a request that waits for a slot, then for its call. Batch.mu guards all
// fields but done and timer until the request is answered.
type waiter struct {
	ctx      context.Context
	rows     []schema.Vector // the caller's memory: not read after the caller has left
	explain  bool
	part     bool // of a larger request
	since    time.Time
	deadline time.Time       // zero: none
	gone     <-chan struct{} // closed when the caller has left
	timerAt  time.Time       // the deadline, if gone is not closed at the deadline; else zero
	timer    *time.Timer     // for timerAt; reused by later waiters; used by the caller's goroutine

	state      waiterState
	abandoned  bool // the caller left after the request was sent
	call       *call
	scores     predict.Scores
	err        error
	done       chan struct{} // holds one token when there is an answer
	prev, next *waiter
	lane       *lane
	home       *sync.Pool
}

type waiterState int

const (
	waiting waiterState = iota
	sent
	answered
)

func (b *Batch) newWaiter(ctx context.Context, rows []schema.Vector, explain bool, now time.Time) *waiter {
	w, ok := b.waiters.Get().(*waiter)
	if !ok {
		w = &waiter{done: make(chan struct{}, 1), home: &b.waiters}
	}
	w.ctx, w.rows, w.explain, w.since = ctx, rows, explain, now
	w.deadline, _ = ctx.Deadline()
	caller, timerAt := callctx.Split(ctx)
	w.gone, w.timerAt = caller.Done(), timerAt
	return w
}

// hasLeft reports whether the caller has left already.
func (w *waiter) hasLeft() bool {
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}

// startTimer returns a channel that receives at timerAt; nil if timerAt is zero.
func (w *waiter) startTimer() <-chan time.Time {
	if w.timerAt.IsZero() {
		return nil
	}
	left := time.Until(w.timerAt)
	if w.timer == nil {
		w.timer = time.NewTimer(left)
	} else {
		w.timer.Reset(left)
	}
	return w.timer.C
}

// answer passes the result to the caller, or discards it if the caller has left.
func (w *waiter) answer(scores predict.Scores, err error) {
	if w.abandoned {
		w.release()
		return
	}
	w.state, w.scores, w.err = answered, scores, err
	w.done <- struct{}{}
}

// release returns the waiter to its pool.
func (w *waiter) release() {
	*w = waiter{done: w.done, timer: w.timer, home: w.home}
	w.home.Put(w)
}

// lane is a list of waiters in order of arrival. Cancelled waiters are unlinked at
// once, so that their rows are freed.
type lane struct {
	head, tail *waiter
	rows       int
}

func (l *lane) push(w *waiter) {
	w.lane, w.prev = l, l.tail
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
	l.rows += len(w.rows)
}

func (l *lane) remove(w *waiter) {
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.lane, w.prev, w.next = nil, nil, nil
	l.rows -= len(w.rows)
}

// smallRows is the maximum number of rows of a small request.
const smallRows = 16

// largeTurn: while small and large requests wait, every fourth call begins with the
// large ones.
const largeTurn = 4

// cellBytes is the maximum length of a number in CSV: sign, 17 digits, point,
// exponent and comma.
const cellBytes = 25

// batchQueue holds the requests that wait for a slot.
type batchQueue struct {
	maxRows, maxBytes int

	small, large, explain lane
	rows                  int // in all lanes
	turn                  int
	late                  []*waiter // memory of cut's result
}

func (q *batchQueue) init(maxRows, maxBytes int) { q.maxRows, q.maxBytes = maxRows, maxBytes }

// rowsPerCall returns the maximum number of rows like these in one call.
func (q *batchQueue) rowsPerCall(rows []schema.Vector) int {
	if len(rows) <= 1 {
		return 1
	}
	return min(q.maxRows, q.fit(rows[0]))
}

// fit returns how many rows of this width MaxBytes allows; at least 1.
func (q *batchQueue) fit(row schema.Vector) int {
	return max(1, q.maxBytes/(cellBytes*max(1, len(row))))
}

// before returns how many queued rows are sent before a new request of a number of
// rows, and how many rows count against the bound of its kind.
func (q *batchQueue) before(rows int) (before, waiting int) {
	if rows > smallRows {
		return q.rows, q.large.rows + q.explain.rows
	}
	waiting = q.small.rows + q.explain.rows
	before = waiting
	if q.large.rows > 0 {
		before += waiting / (largeTurn - 1) // every fourth call is one of theirs
	}
	return before, waiting
}

func (q *batchQueue) push(w *waiter) {
	switch {
	case w.explain:
		q.explain.push(w)
	case w.part || len(w.rows) > smallRows:
		q.large.push(w)
	default:
		q.small.push(w)
	}
	q.rows += len(w.rows)
}

func (q *batchQueue) remove(w *waiter) {
	q.rows -= len(w.rows)
	w.lane.remove(w)
}

// cut takes the requests of the next call from the queue: at most rows rows, but at
// least one request; nil if the queue is empty. A call that begins with small
// requests is filled up with large ones to the number of rows that beside allows. Requests that have a
// deadline before soonest, or whose callers have left, are returned in late.
func (q *batchQueue) cut(most, beside int, soonest time.Time) (c *call, late []*waiter) {
	q.late = q.late[:0]
	for q.rows > 0 && c == nil { // again, if all requests taken were late
		c = newCall()
		c.maxRows = most
		if q.explainIsDue() {
			c.explain = true
			q.take(c, &q.explain, soonest)
		} else {
			first, second := &q.small, &q.large
			if q.small.head != nil && q.large.head != nil {
				if q.turn++; q.turn%largeTurn == 0 {
					first, second = second, first
				}
			}
			q.take(c, first, soonest)
			if len(c.waiters) > 0 && second == &q.large {
				c.maxRows = min(c.maxRows, beside)
			}
			q.take(c, second, soonest)
		}
		if len(c.waiters) == 0 {
			c.release()
			c = nil
		}
	}
	return c, q.late
}

// explainIsDue reports whether the oldest request is one with explain.
func (q *batchQueue) explainIsDue() bool {
	e := q.explain.head
	if e == nil {
		return false
	}
	for _, l := range []*lane{&q.small, &q.large} {
		if l.head != nil && l.head.since.Before(e.since) {
			return false
		}
	}
	return true
}

// take moves requests from a lane to a call until one does not fit.
func (q *batchQueue) take(c *call, l *lane, soonest time.Time) {
	for w := l.head; w != nil; w = l.head {
		lateNow := w.hasLeft() || (!w.deadline.IsZero() && !w.deadline.After(soonest))
		if !lateNow && len(c.waiters) > 0 && c.size+len(w.rows) > c.maxRows {
			return
		}
		q.remove(w)
		if lateNow {
			q.late = append(q.late, w)
			continue
		}
		if len(c.waiters) == 0 && len(w.rows) > 0 {
			c.maxRows = min(c.maxRows, q.fit(w.rows[0]))
		}
		w.state, w.call = sent, c
		c.waiters = append(c.waiters, w)
		c.size += len(w.rows)
		c.present++
	}
}
