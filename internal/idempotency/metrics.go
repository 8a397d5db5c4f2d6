package idempotency

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	expired  prometheus.Counter
	evicted  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, g *Guard) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_idempotency_requests_total",
			Help: "Requests with an idempotency key, by scope and result: handled, replayed (got the stored answer), " +
				"unstored (handled, but the answer could not be stored), reused (refused: the key belongs to another request), " +
				"in_progress (refused: the first request is still being handled), unavailable (the store of keys did not answer), full (there was no room to store the key), cancelled.",
		}, []string{"scope", "outcome"}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_idempotency_keys_expired_total",
			Help: "Expired idempotency keys that this process removed.",
		}),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_idempotency_keys_evicted_total",
			Help: "Idempotency keys that this process removed before they expired, because a caller had filled its room.",
		}),
	}
	reg.MustRegister(m.requests, m.expired, m.evicted, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_idempotency_bytes", Help: "Estimated size of idempotency keys and their answers in the database, in bytes.",
	}, func() float64 { return float64(g.usage.bytes()) }))
	return m
}

func (m *metrics) count(scope, outcome string) { m.requests.WithLabelValues(scope, outcome).Inc() }

// resultOf returns the label of an error of Do.
func resultOf(err error) string {
	switch {
	case errors.Is(err, ErrReused):
		return "reused"
	case errors.Is(err, ErrInProgress):
		return "in_progress"
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	case errors.Is(err, ErrFull):
		return "full"
	}
	return "cancelled"
}
