package scoring

import (
	"context"
	"errors"
	"math/bits"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// A call that fails because of its content is repeated in halves, until each bad row
// is found and all other rows have scores. One bad row among n costs 2·log₂(n) more
// calls. They are made one after the other in the slot of the failed call, so they
// add no concurrency at the endpoint.
//
// Two bounds keep a broken model from being called for every row: a failed call may
// cause at most as many calls as two bad rows need, and all calls share a budget
// that successful calls refill (bisectPrice). When a bound is reached, the rows not
// yet separated fail with the error of their last call.

// splittable reports whether some of the rows alone may have caused an error.
func splittable(err error) bool {
	var e *failure.Error
	return errors.As(err, &e) && !e.General && (e.Kind == failure.BadModel || e.Kind == failure.Invalid)
}

// The budget of further calls of a Batch, which is full at the start.
const (
	bisectPrice   = 4  // successful calls that allow a further one
	bisectReserve = 64 // further calls: enough for two large calls with two bad rows each
)

// bisector repeats one failed call in parts.
type bisector struct {
	b       *Batch
	ctx     context.Context
	explain bool
	left    int // further calls that it may make
}

// newBisector makes a bisector for a call that must be halved depth times to reach a
// single row.
func (b *Batch) newBisector(ctx context.Context, depth int, explain bool) *bisector {
	b.metrics.splits.Inc()
	return &bisector{b: b, ctx: ctx, explain: explain, left: 4 * depth}
}

// halvings returns how often n must be halved until 1 is left.
func halvings(n int) int { return bits.Len(uint(n - 1)) }

// ask makes one of the further calls. If a bound is reached it makes none and returns
// the error of the last call and false.
func (s *bisector) ask(rows []schema.Vector, stands error) (predict.Scores, error, bool) {
	if s.left == 0 || s.ctx.Err() != nil {
		return predict.Scores{}, stands, false
	}
	if !s.b.bisectBudget.Spend() {
		return predict.Scores{}, stands, false
	}
	s.left--
	scores, err := s.b.ask(s.ctx, rows, s.explain)
	return scores, err, true
}

// bisect answers the requests of a call that failed with err.
func (b *Batch) bisect(ctx context.Context, c *call, err error) {
	most := 0
	for _, w := range c.waiters {
		most = max(most, len(w.rows))
	}
	s := b.newBisector(ctx, halvings(len(c.waiters))+halvings(most), c.explain)
	s.requests(c.waiters, c.rows, err)
}

// requests answers requests whose rows failed together with err.
func (s *bisector) requests(to []*waiter, rows []schema.Vector, err error) {
	if len(to) == 1 {
		scores, err := s.rows(rows, err)
		s.b.deliver(to, scores, err)
		return
	}
	half, at := len(to)/2, 0
	for _, w := range to[:half] {
		at += len(w.rows)
	}
	s.half(to[:half], rows[:at], err)
	s.half(to[half:], rows[at:], err)
}

func (s *bisector) half(to []*waiter, rows []schema.Vector, stands error) {
	scores, err, asked := s.ask(rows, stands)
	if err != nil && asked && splittable(err) {
		s.requests(to, rows, err)
		return
	}
	s.b.deliver(to, scores, err)
}

// bisectRows scores those rows of one request that can be scored. All its rows
// failed together with err.
func (b *Batch) bisectRows(ctx context.Context, rows []schema.Vector, explain bool, err error) (predict.Scores, error) {
	return b.newBisector(ctx, halvings(len(rows)), explain).rows(rows, err)
}

func (s *bisector) rows(rows []schema.Vector, err error) (predict.Scores, error) {
	if len(rows) == 1 {
		s.b.metrics.isolated.Inc()
		return predict.Scores{}, err
	}
	j := newJoin(len(rows))
	s.rowsFrom(j, rows, 0, err)
	return j.scores()
}

// rowsFrom fills in the rows that begin at from and failed together with err.
func (s *bisector) rowsFrom(j *join, rows []schema.Vector, from int, err error) {
	if len(rows) == 1 {
		s.b.metrics.isolated.Inc()
		j.fail(from, 1, err)
		return
	}
	half := len(rows) / 2
	for _, part := range []struct{ from, till int }{{0, half}, {half, len(rows)}} {
		scores, err, asked := s.ask(rows[part.from:part.till], err)
		switch {
		case err == nil:
			j.put(from+part.from, scores)
		case asked && splittable(err):
			s.rowsFrom(j, rows[part.from:part.till], from+part.from, err)
		default:
			j.fail(from+part.from, part.till-part.from, err)
		}
	}
}
