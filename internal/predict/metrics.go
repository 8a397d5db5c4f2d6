package predict

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	scorer         *prometheus.HistogramVec
	scored         prometheus.Observer // of scorer: successful calls
	violations     *prometheus.CounterVec
	stored         *prometheus.CounterVec
	mapped         *prometheus.CounterVec
	outcomes       *prometheus.CounterVec
	ledgerFailures prometheus.Counter

	read, prepare, record prometheus.Observer // the other stages
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		scorer: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gateway_scorer_seconds",
			Help:    "Duration of calls of the model in seconds, by result.",
			Buckets: prometheus.ExponentialBuckets(0.00001, 4, 10),
		}, []string{"outcome"}),
		violations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_violations_total",
			Help: "Violations of the schema in requests, by feature and code. Those that the answer does not list have the code omitted.",
		}, []string{"feature", "code"}),
		stored: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_stored_values_ignored_total",
			Help: "Values of stored customers that violate the schema and were treated as absent, by feature and code.",
		}, []string{"feature", "code"}),
		mapped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_unknown_categories_total",
			Help: "Unlisted categories that were replaced with the schema's unknown value, by feature.",
		}, []string{"feature"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_outcomes_total",
			Help: "Outcomes received, by result.",
		}, []string{"result"}),
		ledgerFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_ledger_failures_total",
			Help: "Predictions that were answered without being recorded.",
		}),
	}
	for _, result := range []string{"recorded", "duplicate", "unmatched"} {
		m.outcomes.WithLabelValues(result) // Starting from 0 makes the first one visible as an increase.
	}
	m.scored = m.scorer.WithLabelValues("ok")
	stages := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "gateway_request_stage_seconds",
		Help:    "Duration of the stages of predictions in seconds, apart from the model's (gateway_scorer_seconds): read (the request), prepare (stored features, validation, encoding), record (the ledger).",
		Buckets: prometheus.ExponentialBuckets(0.000005, 4, 10),
	}, []string{"stage"})
	m.read, m.prepare, m.record = stages.WithLabelValues("read"), stages.WithLabelValues("prepare"), stages.WithLabelValues("record")
	reg.MustRegister(m.scorer, m.violations, m.stored, m.mapped, m.outcomes, m.ledgerFailures, stages)
	return m
}

// ObserveRead observes the duration of reading a request since begun. A stage
// costs a reading of the clock and a few atomic additions, a tenth of a
// microsecond.
func (s *Service) ObserveRead(begun time.Time) { s.metrics.read.Observe(time.Since(begun).Seconds()) }
