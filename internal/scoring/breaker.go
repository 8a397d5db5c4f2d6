package scoring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// A Breaker stops calls only where no call would be answered. If half of all
// calls fail, the other half are still answers. So it counts consecutive
// failures, and one answer sets the count to zero.
//
//   - A failure is an error of the model or of the way to it. Rows that the model
//     refused, throttling and callers who left are none: a model that refuses rows
//     works, throttling is for the concurrencyLimiter of Batch, and a caller who
//     left says nothing about the endpoint.
//   - A call that timed out opens the breaker by itself if no other call was
//     answered meanwhile: the endpoint has then been silent for the whole timeout,
//     and the next call would cost its callers as much. A call that had less than
//     three quarters of the timeout does not count.
//   - While two models answer, during a deployment, calls that fail at once do not
//     count: they may be calls of the new model only, and the error does not tell
//     which model made it. The deployment watches the new model itself. Timeouts
//     count.
//
// While it is open, callers get an error with a Retry-After at once. Then it is
// half-open: two trial calls are made, other callers still get the error, and one
// answer closes it.

// BreakerOptions set up a Breaker. A zero value means the default.
type BreakerOptions struct {
	Failures int           // consecutive failures that open it; 20
	Open     time.Duration // how long it stays open; 500ms
	Timeout  time.Duration // of calls, see above; 2s
	// Updating reports whether two models answer. Nil: never.
	Updating func() bool
	// Changed is called with the name of each new state. May be nil.
	Changed func(state string)
}

// Breaker is a predict.Scorer before another one, of one endpoint. It is safe
// for concurrent use.
type Breaker struct {
	scorer  predict.Scorer
	o       BreakerOptions
	circuit circuitbreaker.CircuitBreaker[any]
	epoch   atomic.Int64 // counts changes of the state: a call of an earlier epoch is not recorded
	since   atomic.Pointer[time.Time]
	made    time.Time
	heard   atomic.Int64 // time of the last answer, in nanoseconds after made
	metrics *breakerMetrics
}

// The trial calls of a half-open breaker, and how many of them must be answered.
const (
	trialCalls   = 2
	trialAnswers = 1
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
		WithSuccessThresholdRatio(trialAnswers, trialCalls).
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
func (b *Breaker) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
	if !b.circuit.TryAcquirePermit() {
		b.metrics.refused.Inc()
		return predict.Scores{}, b.refusal()
	}
	epoch := b.epoch.Load()
	trial := b.circuit.IsHalfOpen()
	result := failed // also where the scorer panics
	defer func() { b.record(result, trial, epoch) }()
	begun := time.Now()
	out, err := b.scorer.Score(ctx, rows, explain)
	ended := time.Now()
	if result = b.classify(err, begun, ended); result == success {
		b.heard.Store(int64(ended.Sub(b.made)))
	}
	return out, err
}

// refusal is the error of callers while it is not closed.
func (b *Breaker) refusal() error {
	wait := b.circuit.RemainingDelay()
	if wait == 0 { // half-open: the trial calls have not ended
		wait = b.o.Open
	}
	return &failure.Error{Kind: failure.Unavailable, RetryAfter: wait, Detail: "the model has not answered for a while; calls are suspended"}
}

// breakerResult is what the end of a call says about the endpoint.
type breakerResult int

const (
	ignored breakerResult = iota
	success
	failed
	silence // a timeout during which no call was answered
)

// classify is called when a call has ended.
func (b *Breaker) classify(err error, begun, ended time.Time) breakerResult {
	if err == nil {
		return success
	}
	var e *failure.Error
	switch {
	case errors.Is(err, context.Canceled):
		return ignored
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &e) && e.Kind == failure.Deadline:
		switch {
		case ended.Sub(begun) < b.o.Timeout*3/4: // the caller's deadline was short
			return ignored
		case b.heard.Load() > int64(begun.Sub(b.made)): // another call was answered
			return failed
		}
		return silence
	case e == nil: // an internal fault
		return failed
	case e.Kind == failure.Unavailable && e.Throttled, e.Kind == failure.BadModel && e.Refused:
		return success
	case e.Kind == failure.Unavailable, e.Kind == failure.Invalid: // no model yet, or no call was made
		return ignored
	case b.o.Updating != nil && b.o.Updating():
		return ignored
	}
	return failed
}

// record records a result unless the state has changed since the call began. A
// trial call always records one, because otherwise its permit would stay taken.
func (b *Breaker) record(result breakerResult, trial bool, epoch int64) {
	times := 1
	switch {
	case result == success:
		if b.epoch.Load() == epoch {
			b.circuit.RecordSuccess()
		}
		return
	case result == ignored && !trial:
		return
	case result == silence:
		times = b.o.Failures
	}
	for ; times > 0 && b.epoch.Load() == epoch; times-- {
		b.circuit.RecordFailure()
	}
}

// BreakerStatus is the state of a Breaker.
type BreakerStatus struct {
	State    string     `json:"state"` // closed, open or half-open
	Since    *time.Time `json:"since,omitzero"`
	Failures int        `json:"failures"` // consecutive ones
	// RetryAfter is how long no call will be made, in seconds.
	RetryAfter float64 `json:"retry_after_seconds,omitzero"`
}

// Status returns the current state.
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

// Closed reports whether all calls are made.
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
