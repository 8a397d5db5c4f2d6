package overload

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/predict"
)

// Hedge is a predict.Scorer that asks another one a second time where the first
// call takes unusually long, and takes the answer that comes first. A model has
// no memory, so asking it twice does no harm but cost.
//
// It is for endpoints of several instances, of which one may be slow. Hedges are
// bounded: one call in ten, and none while there is no capacity to spare.
type Hedge struct {
	scorer predict.Scorer
	spare  func() bool
	hedges *prometheus.CounterVec

	mu     sync.Mutex
	after  time.Duration // zero until it is learned
	fixed  bool
	recent []time.Duration // of calls that were answered; overwritten in turn
	calls  int
	tokens int
}

// Costs of hedges: a call earns one token.
const (
	hedgeCost   = 10
	maxHedges   = 5 // that may be saved up
	recentCalls = 256
	learnEvery  = 32
)

// NewHedge makes a Hedge. After is how long a call may take before it is made
// again; zero: as long as all but a twentieth of recent calls. Spare reports
// whether the endpoint has capacity to spare. The metrics are registered with reg.
func NewHedge(scorer predict.Scorer, after time.Duration, spare func() bool, reg prometheus.Registerer) *Hedge {
	h := &Hedge{scorer: scorer, spare: spare, after: after, fixed: after > 0, hedges: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_hedges_total", Help: "Calls of the model that took long and were made again, or were not, by what came of it.",
	}, []string{"result"})}
	reg.MustRegister(h.hedges)
	return h
}

type hedged struct {
	scores predict.Scores
	err    error
	second bool
}

// Score implements predict.Scorer.
func (h *Hedge) Score(ctx context.Context, rows []predict.Vector, explain bool) (predict.Scores, error) {
	begun := time.Now()
	after := h.begin()
	if after == 0 {
		scores, err := h.scorer.Score(ctx, rows, explain)
		h.done(begun, err)
		return scores, err
	}
	// The caller may use its rows again while the slower call still reads them.
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
	if !h.allowed() {
		h.hedges.WithLabelValues("not_allowed").Inc()
		a := <-answers
		h.done(begun, a.err)
		return a.scores, a.err
	}
	go h.ask(ctx, rows, explain, true, answers)
	a := <-answers
	if a.err != nil && ctx.Err() == nil { // the other one may do better
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

// ask makes one of the calls. A panic must not take down the process.
func (h *Hedge) ask(ctx context.Context, rows []predict.Vector, explain, second bool, to chan<- hedged) {
	a := hedged{second: second}
	defer func() {
		if cause := recover(); cause != nil {
			a.err = fmt.Errorf("the scorer panicked: %v\n%s", cause, debug.Stack())
		}
		to <- a
	}()
	a.scores, a.err = h.scorer.Score(ctx, rows, explain)
}

// begin notes a call and returns how long it may take; zero: that is not known.
func (h *Hedge) begin() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tokens = min(h.tokens+1, maxHedges*hedgeCost)
	return h.after
}

// allowed reports whether a call may be made again, and counts it.
func (h *Hedge) allowed() bool {
	if !h.spare() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tokens < hedgeCost {
		return false
	}
	h.tokens -= hedgeCost
	return true
}

// done learns from a call. What its caller waited counts, hedged or not: else
// the delay would sink with each hedge that helped.
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
		h.after = sorted[len(sorted)*95/100]
	}
}
