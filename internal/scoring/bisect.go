package scoring

import (
	"context"
	"errors"
	"math/bits"

	"gateway/internal/predict"
)

// A call that fails because of its content is asked again in halves, until the
// bad rows are alone and all others have their scores. One bad row among n costs
// 2·log₂(n) more calls. They are made one after the other in the slot of the
// first, so the endpoint is not pressed by them.
//
// Two bounds keep a broken model from being asked about every row: a call may
// grow by enough calls to find two bad rows, and all calls together earn the
// right to splits by succeeding (splitBudget). Where a bound is reached, those
// rows that are still together fail together.

// splittable reports whether an error may be the fault of some rows alone.
func splittable(err error) bool {
	var e *predict.Error
	return errors.As(err, &e) && !e.General && (e.Kind == predict.BadModel || e.Kind == predict.Invalid)
}

// splitBudget is what the calls of a Batch may spend on splits, in quarters of a
// call: four calls that succeed earn one more.
type splitBudget int

const splitReserve splitBudget = 4 * 64 // two large calls with two bad rows each

func (s *splitBudget) earn() { *s = min(*s+1, splitReserve) }

func (s *splitBudget) spend() bool {
	if *s < 4 {
		return false
	}
	*s -= 4
	return true
}

// splitter asks again about parts of one call.
type splitter struct {
	b       *Batch
	ctx     context.Context
	explain bool
	left    int // calls that it may still make
}

// newSplitter is for a call that takes so many halvings until a row is alone.
func (b *Batch) newSplitter(ctx context.Context, depth int, explain bool) *splitter {
	b.metrics.splits.Inc()
	return &splitter{b: b, ctx: ctx, explain: explain, left: 4 * depth}
}

// halvings is how often n must be halved until one is left.
func halvings(n int) int { return bits.Len(uint(n - 1)) }

// ask makes one of the further calls. It reports false, with the error that
// stands, where there may be no more.
func (s *splitter) ask(rows []predict.Vector, stands error) (predict.Scores, error, bool) {
	if s.left == 0 || s.ctx.Err() != nil {
		return predict.Scores{}, stands, false
	}
	s.b.mu.Lock()
	allowed := s.b.extra.spend()
	s.b.mu.Unlock()
	if !allowed {
		return predict.Scores{}, stands, false
	}
	s.left--
	scores, err := s.b.ask(s.ctx, rows, s.explain)
	return scores, err, true
}

// isolate answers the requests of a call that failed with err.
func (b *Batch) isolate(ctx context.Context, c *call, err error) {
	most := 0
	for _, w := range c.waiters {
		most = max(most, len(w.rows))
	}
	s := b.newSplitter(ctx, halvings(len(c.waiters))+halvings(most), c.explain)
	s.requests(c.waiters, c.rows, err)
}

// requests answers requests whose rows failed together with err.
func (s *splitter) requests(to []*waiter, rows []predict.Vector, err error) {
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

func (s *splitter) half(to []*waiter, rows []predict.Vector, stands error) {
	scores, err, asked := s.ask(rows, stands)
	if err != nil && asked && splittable(err) {
		s.requests(to, rows, err)
		return
	}
	s.b.deliver(to, scores, err)
}

// isolateRows scores those rows of one request that can be scored. All its rows
// failed together with err.
func (b *Batch) isolateRows(ctx context.Context, rows []predict.Vector, explain bool, err error) (predict.Scores, error) {
	return b.newSplitter(ctx, halvings(len(rows)), explain).rows(rows, err)
}

func (s *splitter) rows(rows []predict.Vector, err error) (predict.Scores, error) {
	if len(rows) == 1 {
		s.b.metrics.isolated.Inc()
		return predict.Scores{}, err
	}
	j := newJoin(len(rows))
	s.rowsFrom(j, rows, 0, err)
	return j.scores()
}

// rowsFrom fills in the rows that begin at from and failed together with err.
func (s *splitter) rowsFrom(j *join, rows []predict.Vector, from int, err error) {
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
