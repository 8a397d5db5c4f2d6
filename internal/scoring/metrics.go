package scoring

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
)

// batchMetrics divide the time of requests into the wait for a slot and the call of
// the endpoint.
type batchMetrics struct {
	rows              prometheus.Histogram
	wait              prometheus.Histogram
	scored, failed    prometheus.Observer
	throttled         prometheus.Observer
	full, unreachable prometheus.Counter
	expired           prometheus.Counter
	stopping          prometheus.Counter
	abandoned         prometheus.Counter
	splits            prometheus.Counter
	isolated          prometheus.Counter
	remodelled        prometheus.Counter
}

func newBatchMetrics(reg prometheus.Registerer, b *Batch) *batchMetrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	gauge := func(name, help string, value func(BatchStatus) float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return value(b.Status()) }))
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
		reg.MustRegister(h)
		return h
	}
	call := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "gateway_batch_call_seconds",
		Help:    "How long calls of the endpoint took, by how they ended: ok, throttled or failed.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
	}, []string{"outcome"})
	shed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_batch_shed_total",
		Help: "Requests turned away before a call: full queue, too little time at arrival, time up in the queue, shutdown.",
	}, []string{"reason"})
	reg.MustRegister(call, shed)

	gauge("gateway_batch_slots", "Calls that may be in flight at once, as learned.", func(s BatchStatus) float64 { return float64(s.Slots) })
	gauge("gateway_batch_slots_max", "The most slots that may be learned.", func(s BatchStatus) float64 { return float64(s.MaxSlots) })
	gauge("gateway_batch_slots_in_use", "Calls in flight.", func(s BatchStatus) float64 { return float64(s.InFlight) })
	gauge("gateway_batch_queued_rows", "Rows that wait for a slot.", func(s BatchStatus) float64 { return float64(s.Queued) })
	gauge("gateway_batch_row_seconds", "What a row adds to the time of a call, as learned.", func(s BatchStatus) float64 { return s.Row.Seconds() })
	return &batchMetrics{
		rows: histogram("gateway_batch_rows", "Rows of a call.", prometheus.ExponentialBuckets(1, 2, 11)),
		wait: histogram("gateway_batch_wait_seconds", "How long requests waited for a slot; 0 where one was free.",
			append([]float64{0}, prometheus.ExponentialBuckets(0.0001, 2, 15)...)),
		scored: call.WithLabelValues("ok"), failed: call.WithLabelValues("failed"), throttled: call.WithLabelValues("throttled"),
		full: shed.WithLabelValues("full"), unreachable: shed.WithLabelValues("deadline_unreachable"),
		expired: shed.WithLabelValues("expired"), stopping: shed.WithLabelValues("stopping"),
		abandoned:  counter("gateway_batch_abandoned_total", "Requests whose caller left, or whose time ran out, before the answer."),
		splits:     counter("gateway_batch_splits_total", "Calls that failed by their content and were split."),
		isolated:   counter("gateway_batch_isolated_rows_total", "Rows that were found to be what a call failed by."),
		remodelled: counter("gateway_batch_asked_again_total", "Parts of requests that were asked again, because another model scored the rest."),
	}
}

// late counts a request whose caller left, or whose deadline passed, before it was
// sent.
func (m *batchMetrics) late(ctx context.Context) {
	if errors.Is(ctx.Err(), context.Canceled) {
		m.abandoned.Inc()
	} else {
		m.expired.Inc()
	}
}

// leftError is the error of a request that is no longer waited for.
func leftError(ctx context.Context) error {
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return &failure.Error{Kind: failure.Deadline, Detail: "the caller left before the model answered", Err: err}
	}
	return &failure.Error{Kind: failure.Deadline, Detail: "the model did not answer in the time allowed", Err: context.DeadlineExceeded}
}

// refuse returns the error of a request that cannot be queued, or nil. b.mu is held.
func (b *Batch) refuse(ctx context.Context, rows int, now time.Time) error {
	if ctx.Err() != nil {
		b.metrics.late(ctx)
		return leftError(ctx)
	}
	if b.stopping {
		b.metrics.stopping.Inc()
		return &failure.Error{Kind: failure.Unavailable, Detail: "the gateway is stopping", RetryAfter: time.Second}
	}
	before, waiting := b.queue.before(rows)
	wait := b.drain(before)
	if waiting > 0 && waiting+rows > b.o.MaxQueued {
		b.metrics.full.Inc()
		return &failure.Error{Kind: failure.Unavailable, RetryAfter: max(wait, time.Millisecond),
			Detail: "more requests wait for the model than it can answer"}
	}
	deadline, ok := ctx.Deadline()
	if !ok || (b.inFlight < b.concurrency.limit && b.queue.rows == 0) {
		return nil
	}
	need := wait + b.concurrency.best
	if rows > smallRows {
		// The estimate is the best case, and small requests that arrive later go before
		// a large one. A large request that times out half done has wasted its calls.
		need += wait/2 + b.drain(rows)
	}
	if deadline.After(now.Add(need)) {
		return nil
	}
	b.metrics.unreachable.Inc()
	if deadline.After(now.Add(b.concurrency.best)) {
		return &failure.Error{Kind: failure.Unavailable, RetryAfter: max(wait, time.Millisecond),
			Detail: "too many requests wait for the model to answer this one in time"}
	}
	return &failure.Error{Kind: failure.Deadline, Detail: "the model needs longer than the time that is left"}
}

// breakerMetrics count changes of the state and calls that were not made.
type breakerMetrics struct {
	transitions *prometheus.CounterVec
	refused     prometheus.Counter
}

func newBreakerMetrics(reg prometheus.Registerer, b *Breaker) *breakerMetrics {
	for _, state := range []string{"closed", "open", "half-open"} {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gateway_breaker_state", Help: "1 for the state of the circuit breaker before the model, 0 for the others.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 {
			if stateName(b.circuit.State()) == state {
				return 1
			}
			return 0
		}))
	}
	m := &breakerMetrics{
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_breaker_transitions_total", Help: "Changes of the circuit breaker's state, by the new one.",
		}, []string{"to"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_breaker_refused_total", Help: "Calls of the model that were not made because the circuit breaker was open.",
		}),
	}
	reg.MustRegister(m.transitions, m.refused)
	return m
}
