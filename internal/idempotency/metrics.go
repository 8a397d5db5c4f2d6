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
			Help: "Requests with an idempotency key, by scope and what became of them: handled, replayed (answered as before), " +
				"unstored (handled, but the answer could not be kept), reused (refused: the key is another request's), " +
				"in_progress (refused: the first is still being handled), unavailable (the store of keys did not answer), full (there was no room to keep the key), cancelled.",
		}, []string{"scope", "outcome"}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_idempotency_keys_expired_total",
			Help: "Idempotency keys that this process removed after their time.",
		}),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_idempotency_keys_evicted_total",
			Help: "Idempotency keys that this process removed before their time, the oldest of callers who filled their room.",
		}),
	}
	reg.MustRegister(m.requests, m.expired, m.evicted, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_idempotency_bytes", Help: "What idempotency keys and their answers take in the database, in bytes, as estimated.",
	}, func() float64 { return float64(g.usage.bytes()) }))
	return m
}

func (m *metrics) count(scope, outcome string) { m.requests.WithLabelValues(scope, outcome).Inc() }

// outcomeOf names an error of Do.
func outcomeOf(err error) string {
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
