package idempotency

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	expired  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_idempotency_requests_total",
			Help: "Requests with an idempotency key, by scope and what became of them: handled, replayed (answered as before), " +
				"unstored (handled, but the answer could not be kept), reused (refused: the key is another request's), " +
				"in_progress (refused: the first is still being handled), unavailable (the store of keys did not answer), cancelled.",
		}, []string{"scope", "outcome"}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_idempotency_keys_expired_total",
			Help: "Idempotency keys that this process removed after their time.",
		}),
	}
	reg.MustRegister(m.requests, m.expired)
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
	}
	return "cancelled"
}
