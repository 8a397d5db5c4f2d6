package scoring

import (
	"context"
	"errors"
	"sync"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// call is a call of the endpoint and its requests. Its slices are reused.
type call struct {
	explain bool
	waiters []*waiter       // its requests, in order
	size    int             // rows
	maxRows int             // that it may have
	rows    []schema.Vector // of all waiters, copied
	numbers []float64       // behind rows
	ticket  ticket

	present int // callers who still wait; guarded by Batch.mu
	cancel  context.CancelFunc
}

var calls = sync.Pool{New: func() any { return &call{} }}

func newCall() *call { return calls.Get().(*call) }

func (c *call) release() {
	clear(c.waiters)
	*c = call{waiters: c.waiters[:0], rows: c.rows[:0], numbers: c.numbers[:0]}
	calls.Put(c)
}

// copyRows copies the rows: a caller who leaves may reuse their memory while the
// call continues for the others.
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
		b.deliver(c.waiters, predict.Scores{}, context.Canceled) // returns the waiters to their pool
		c.release()
		return t
	}
	for _, w := range c.waiters {
		b.metrics.wait.Observe(t.begun.Sub(w.since).Seconds())
	}
	scores, err := b.ask(ctx, c.rows, c.explain)
	b.report(&t, err)
	if err != nil && len(c.rows) > 1 && splittable(err) {
		b.bisect(ctx, c, err)
	} else {
		b.deliver(c.waiters, scores, err)
	}
	c.release()
	return t
}

// callContext returns the context of a call, with its own timeout. A call of one
// request has the values of that request's context.
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

// deliver answers the requests of a call. Each gets its part of the slices of
// scores; the parts do not overlap.
func (b *Batch) deliver(to []*waiter, scores predict.Scores, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := 0
	for _, w := range to {
		part, till := predict.Scores{}, from+len(w.rows)
		if err == nil {
			part = predict.Scores{Model: scores.Model, Schema: scores.Schema,
				Score: scores.Score[from:till:till], Label: scores.Label[from:till:till]}
			part.Base, part.Unexplained = scores.Base, scores.Unexplained
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

// report records the duration and the result of a call in the metrics and in its
// ticket.
func (b *Batch) report(t *ticket, err error) {
	t.took = time.Since(t.begun)
	if err == nil {
		t.outcome = scored
		b.metrics.scored.Observe(t.took.Seconds())
		return
	}
	var e *failure.Error
	errors.As(err, &e)
	switch {
	case e != nil && e.Kind == failure.Unavailable && e.Throttled:
		t.outcome = throttled
		b.metrics.throttled.Observe(t.took.Seconds())
		return
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), e != nil && e.Kind == failure.Deadline:
		t.outcome = stalled
	default:
		t.outcome = unknown
	}
	b.metrics.failed.Observe(t.took.Seconds())
}
