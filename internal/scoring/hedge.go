package scoring

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/budget"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Hedge is a predict.Scorer that asks another one. Where the first call takes
// unusually long it makes a second one and takes the answer that comes first.
// Scoring changes nothing at the endpoint, so a second call only costs capacity.
//
// It is for endpoints of several instances, of which one may be slow. Hedges are
// bounded: at most one call in ten has one, and none while the endpoint has no
// capacity to spare.
type Hedge struct {
	scorer predict.Scorer
	spare  func() bool
	fixed  bool // after is a setting
	hedges *prometheus.CounterVec
	budget *budget.Budget // of second calls
	after  atomic.Int64   // nanoseconds; zero until it is learned

	mu     sync.Mutex
	recent []time.Duration // durations of answered calls, a ring of recentCalls
	calls  int             // answered calls
}

// HedgeOptions set up a Hedge. A zero value means the default.
type HedgeOptions struct {
	On bool // whether a Chain has a Hedge at all
	// After is how long the first call may take before a second one is made; 0:
	// the 95th percentile of recent calls.
	After time.Duration
	// Spare reports whether the endpoint has capacity to spare. A Chain sets it.
	// Nil: always.
	Spare func() bool
}

const (
	// The budget of hedges, which is empty at the start.
	hedgePrice   = 10 // calls that allow a hedge
	hedgeReserve = 5  // hedges

	recentCalls = 256
	learnEvery  = 32 // calls between two computations of the percentile
)

// NewHedge makes a Hedge. Its metrics are registered with reg.
func NewHedge(scorer predict.Scorer, o HedgeOptions, reg prometheus.Registerer) *Hedge {
	if o.Spare == nil {
		o.Spare = func() bool { return true }
	}
	h := &Hedge{scorer: scorer, spare: o.Spare, fixed: o.After > 0, budget: budget.New(hedgePrice, hedgeReserve), hedges: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_hedges_total", Help: "Calls of the model that took long enough for a hedge, by result: the first or the second call answered, both failed, or no hedge was allowed.",
	}, []string{"result"})}
	h.after.Store(int64(o.After))
	reg.MustRegister(h.hedges)
	return h
}

// hedged is the result of one of the two calls.
type hedged struct {
	scores predict.Scores
	err    error
	second bool
}

// Score implements predict.Scorer.
func (h *Hedge) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
	begun := time.Now()
	h.budget.Earn()
	after := time.Duration(h.after.Load())
	if after == 0 {
		scores, err := h.scorer.Score(ctx, rows, explain)
		h.done(begun, err)
		return scores, err
	}
	// The slower call may still read the rows after the caller has its answer and
	// uses their memory again.
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i] = slices.Clone(rows[i])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan hedged, 2)
	go h.ask(ctx, rows, explain, false, answers)
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case a := <-answers:
		h.done(begun, a.err)
		return a.scores, a.err
	case <-timer.C:
	}
	if !h.spare() || !h.budget.Spend() {
		h.hedges.WithLabelValues("not_allowed").Inc()
		a := <-answers
		h.done(begun, a.err)
		return a.scores, a.err
	}
	go h.ask(ctx, rows, explain, true, answers)
	a := <-answers
	if a.err != nil && ctx.Err() == nil { // the other call may still succeed
		if b := <-answers; b.err == nil {
			a = b
		}
	}
	switch {
	case a.err != nil:
		h.hedges.WithLabelValues("failed").Inc()
	case a.second:
		h.hedges.WithLabelValues("second").Inc()
	default:
		h.hedges.WithLabelValues("first").Inc()
	}
	h.done(begun, a.err)
	return a.scores, a.err
}

// ask makes one of the two calls. A panic of the scorer becomes an error, because
// it would end the process.
func (h *Hedge) ask(ctx context.Context, rows []schema.Vector, explain, second bool, to chan<- hedged) {
	a := hedged{second: second}
	defer func() {
		if cause := recover(); cause != nil {
			a.err = fmt.Errorf("the scorer panicked: %v\n%s", cause, debug.Stack())
		}
		to <- a
	}()
	a.scores, a.err = h.scorer.Score(ctx, rows, explain)
}

// done learns from how long a caller waited, with or without a hedge. Without
// the hedged calls the percentile would sink with each hedge that helped.
func (h *Hedge) done(begun time.Time, err error) {
	if h.fixed || err != nil {
		return
	}
	took := time.Since(begun)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.recent) < recentCalls {
		h.recent = append(h.recent, took)
	} else {
		h.recent[h.calls%recentCalls] = took
	}
	if h.calls++; h.calls%learnEvery == 0 && len(h.recent) >= 2*learnEvery {
		sorted := slices.Clone(h.recent)
		slices.Sort(sorted)
		h.after.Store(int64(sorted[len(sorted)*95/100]))
	}
}
