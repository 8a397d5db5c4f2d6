package scoring

import (
	"context"
	"errors"
	"sync"
	"time"

	"gateway/internal/predict"
)

// call is what several requests share. Its slices are used again.
type call struct {
	explain bool
	waiters []*waiter        // all that left with it, in order
	size    int              // rows
	maxRows int              // that it may have
	rows    []predict.Vector // of all waiters, copied
	numbers []float64        // behind rows
	ticket  ticket

	present int // callers who still wait; of Batch.mu
	cancel  context.CancelFunc
}

var calls = sync.Pool{New: func() any { return &call{} }}

func newCall() *call { return calls.Get().(*call) }

func (c *call) release() {
	clear(c.waiters)
	*c = call{waiters: c.waiters[:0], rows: c.rows[:0], numbers: c.numbers[:0]}
	calls.Put(c)
}

// copyRows copies the rows, because a caller who leaves may use them again
// while the call goes on for the others.
func (c *call) copyRows() {
	width := 0
	for _, w := range c.waiters {
		for _, row := range w.rows {
			width += len(row)
		}
	}
	if cap(c.numbers) < width {
		c.numbers = make([]float64, 0, width)
	}
	for _, w := range c.waiters {
		for _, row := range w.rows {
			at := len(c.numbers)
			c.numbers = append(c.numbers, row...)
			c.rows = append(c.rows, c.numbers[at:len(c.numbers):len(c.numbers)])
		}
	}
}

// do makes a call and answers its requests.
func (b *Batch) do(c *call) ticket {
	t := c.ticket
	t.rows, t.requests = c.size, len(c.waiters)
	ctx, cancel := b.callContext(c)
	defer cancel()
	b.mu.Lock()
	c.cancel = cancel
	abandoned := c.present == 0
	b.mu.Unlock()
	if abandoned {
		t.outcome = unknown
		b.deliver(c.waiters, predict.Scores{}, context.Canceled) // to nobody; the call's own time has not ended
		c.release()
		return t
	}
	for _, w := range c.waiters {
		b.metrics.wait.Observe(t.begun.Sub(w.since).Seconds())
	}
	scores, err := b.ask(ctx, c.rows, c.explain)
	b.report(&t, err)
	if err != nil && len(c.rows) > 1 && splittable(err) {
		b.isolate(ctx, c, err)
	} else {
		b.deliver(c.waiters, scores, err)
	}
	c.release()
	return t
}

// callContext gives a call its own time. The context of a single request also
// gives it what belongs to that request.
func (b *Batch) callContext(c *call) (context.Context, context.CancelFunc) {
	if len(c.waiters) == 1 {
		return context.WithTimeout(c.waiters[0].ctx, b.o.Timeout)
	}
	ctx, cancel := context.WithTimeout(b.base, b.o.Timeout)
	if b.o.Link != nil {
		requests := make([]context.Context, len(c.waiters))
		for i, w := range c.waiters {
			requests[i] = w.ctx
		}
		ctx = b.o.Link(ctx, requests)
	}
	return ctx, cancel
}

// deliver answers requests whose rows were asked about together. Each gets its
// part of the answer's slices, which share memory but no element.
func (b *Batch) deliver(to []*waiter, scores predict.Scores, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := 0
	for _, w := range to {
		part, till := predict.Scores{}, from+len(w.rows)
		if err == nil {
			part = predict.Scores{Model: scores.Model, Schema: scores.Schema,
				Score: scores.Score[from:till:till], Label: scores.Label[from:till:till]}
			if scores.Contributions != nil {
				part.Contributions = scores.Contributions[from:till:till]
			}
			if scores.Errors != nil {
				part.Errors = scores.Errors[from:till:till]
			}
		}
		from = till
		if !w.abandoned {
			w.call.present--
		}
		w.answer(part, err)
	}
}

// report says how a call ended: to the metrics, and in the ticket to the learner.
func (b *Batch) report(t *ticket, err error) {
	t.took = time.Since(t.begun)
	if err == nil {
		t.outcome = scored
		b.metrics.scored.Observe(t.took.Seconds())
		return
	}
	var e *predict.Error
	errors.As(err, &e)
	switch {
	case e != nil && e.Kind == predict.Unavailable && e.Throttled:
		t.outcome = throttled
		b.metrics.throttled.Observe(t.took.Seconds())
		return
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), e != nil && e.Kind == predict.Deadline:
		t.outcome = stalled
	default:
		t.outcome = unknown
	}
	b.metrics.failed.Observe(t.took.Seconds())
}
