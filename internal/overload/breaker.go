package overload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/predict"
)

// A Breaker shuts out callers only where nobody would be answered. Half of all
// calls failing is no reason: the other half are answers. So it counts failures
// in a row, and one answer ends the row.
//
//   - A failure is an error of the model or the way to it. Rows that a model
//     refused, throttling and callers who left are none: in the first case it has
//     answered, the second is for the slots of scoring.Batch to learn.
//   - A call that was not answered in time opens it by itself where no other
//     call was answered meanwhile: then the endpoint has said nothing for all of
//     a call's time, and the next call would cost its callers as much. With too
//     little time to begin with, it counts for nothing.
//   - While two models answer, during a swap, calls that fail at once say nothing
//     about the endpoint: they may be those of the new model, and there is no
//     telling which. The swap's own watch takes care of it. Calls that hang count.
//
// When it is open callers are told at once, and when to come back. Then a few
// calls are let through, one answer in two of them closes it, and the rest is
// turned away meanwhile.

// BreakerOptions set up a Breaker. A zero value means the default.
type BreakerOptions struct {
	Failures int           // in a row that open it; 20
	Open     time.Duration // how long it stays open; 500ms
	Timeout  time.Duration // that calls have; one with less than three quarters of it cannot hang; 2s
	// Mixed reports whether two models answer. Nil: never.
	Mixed func() bool
	// Changed is told of each new state, by its name. May be nil.
	Changed func(state string)
}

// Breaker is a predict.Scorer before another one, of one endpoint. It is safe
// for concurrent use.
type Breaker struct {
	scorer  predict.Scorer
	o       BreakerOptions
	circuit circuitbreaker.CircuitBreaker[any]
	epoch   atomic.Int64 // changes with the state: calls from before say nothing about the new one
	since   atomic.Pointer[time.Time]
	made    time.Time
	heard   atomic.Int64 // how long after that the endpoint has answered, for the last time
	metrics *breakerMetrics
}

// Half-open: so many calls are let through at once, and so many of them must be
// answered.
const (
	probes   = 2
	answered = 1
)

// NewBreaker makes a closed Breaker. Its metrics are registered with reg; for
// several, wrap reg with a label that tells them apart.
func NewBreaker(scorer predict.Scorer, o BreakerOptions, reg prometheus.Registerer) *Breaker {
	o.Failures = cmp.Or(max(0, o.Failures), 20)
	o.Open = cmp.Or(max(0, o.Open), 500*time.Millisecond)
	o.Timeout = cmp.Or(max(0, o.Timeout), 2*time.Second)
	b := &Breaker{scorer: scorer, o: o, made: time.Now()}
	b.circuit = circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(uint(o.Failures)).
		WithDelay(o.Open).
		WithSuccessThresholdRatio(answered, probes).
		OnStateChanged(b.changed).
		Build()
	b.metrics = newBreakerMetrics(reg, b)
	return b
}

func (b *Breaker) changed(event circuitbreaker.StateChangedEvent) {
	b.epoch.Add(1)
	now := time.Now()
	b.since.Store(&now)
	state := stateName(event.NewState)
	b.metrics.transitions.WithLabelValues(state).Inc()
	if b.o.Changed != nil {
		b.o.Changed(state)
	}
}

// Score implements predict.Scorer.
func (b *Breaker) Score(ctx context.Context, rows []predict.Vector, explain bool) (predict.Scores, error) {
	if !b.circuit.TryAcquirePermit() {
		b.metrics.refused.Inc()
		return predict.Scores{}, b.refusal()
	}
	epoch := b.epoch.Load()
	probing := b.circuit.IsHalfOpen()
	said := bad // also where the scorer panics
	defer func() { b.record(said, probing, epoch) }()
	begun := time.Now()
	out, err := b.scorer.Score(ctx, rows, explain)
	ended := time.Now()
	if said = b.judge(err, begun, ended); said == good {
		b.heard.Store(int64(ended.Sub(b.made)))
	}
	return out, err
}

// refusal is what callers get while it is open.
func (b *Breaker) refusal() error {
	wait := b.circuit.RemainingDelay()
	if wait == 0 { // half-open: the calls that were let through are not back
		wait = b.o.Open
	}
	return &predict.Error{Kind: predict.Unavailable, RetryAfter: wait, Detail: "the model has not answered for a while, and is not asked"}
}

// verdict is what a call says about the endpoint.
type verdict int

const (
	none verdict = iota
	good         // it answers
	bad
	silent // it answers nobody
)

// judge is told of a call when it has ended.
func (b *Breaker) judge(err error, begun, ended time.Time) verdict {
	if err == nil {
		return good
	}
	var e *predict.Error
	switch {
	case errors.Is(err, context.Canceled):
		return none
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &e) && e.Kind == predict.Deadline:
		switch {
		case ended.Sub(begun) < b.o.Timeout*3/4: // its caller had little time
			return none
		case b.heard.Load() > int64(begun.Sub(b.made)): // others were answered
			return bad
		}
		return silent
	case e == nil: // an internal fault
		return bad
	case e.Kind == predict.Unavailable && e.Throttled, e.Kind == predict.BadModel && e.Refused:
		return good
	case e.Kind == predict.Unavailable, e.Kind == predict.Invalid: // no model yet, or no call was made
		return none
	case b.o.Mixed != nil && b.o.Mixed():
		return none
	}
	return bad
}

// record notes what a call said, unless the state has changed meanwhile. A
// probe must say something, or its permit is lost.
func (b *Breaker) record(said verdict, probing bool, epoch int64) {
	times := 1
	switch {
	case said == good:
		if b.epoch.Load() == epoch {
			b.circuit.RecordSuccess()
		}
		return
	case said == none && !probing:
		return
	case said == silent:
		times = b.o.Failures
	}
	for ; times > 0 && b.epoch.Load() == epoch; times-- {
		b.circuit.RecordFailure()
	}
}

// BreakerStatus is what an operator asks of a Breaker.
type BreakerStatus struct {
	State    string     `json:"state"` // closed, open or half-open
	Since    *time.Time `json:"since,omitzero"`
	Failures int        `json:"failures"` // in a row
	// RetryAfter is how long nobody will be asked, in seconds.
	RetryAfter float64 `json:"retry_after_seconds,omitzero"`
}

// Status tells how things are now.
func (b *Breaker) Status() BreakerStatus {
	return BreakerStatus{State: stateName(b.circuit.State()), Since: b.since.Load(),
		Failures: int(b.circuit.Metrics().Failures()), RetryAfter: b.circuit.RemainingDelay().Seconds()}
}

// Check returns an error unless the breaker is closed.
func (b *Breaker) Check(context.Context) error {
	if b.circuit.IsClosed() {
		return nil
	}
	return fmt.Errorf("the model has not answered since %s", b.since.Load().UTC().Format(time.RFC3339))
}

// Closed reports whether the model is asked as usual.
func (b *Breaker) Closed() bool { return b.circuit.IsClosed() }

func stateName(s circuitbreaker.State) string {
	switch s {
	case circuitbreaker.OpenState:
		return "open"
	case circuitbreaker.HalfOpenState:
		return "half-open"
	}
	return "closed"
}
