package predict

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	scorer         *prometheus.HistogramVec
	scored         prometheus.Observer // of scorer: what was answered
	violations     *prometheus.CounterVec
	stored         *prometheus.CounterVec
	mapped         *prometheus.CounterVec
	outcomes       *prometheus.CounterVec
	ledgerFailures prometheus.Counter

	read, prepare, record prometheus.Observer // stages, besides scorer's
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		scorer: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gateway_scorer_seconds",
			Help:    "How long the model took to score a call, by how it ended.",
			Buckets: prometheus.ExponentialBuckets(0.00001, 4, 10),
		}, []string{"outcome"}),
		violations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_violations_total",
			Help: "Values of requests that broke the schema, by feature and code; those that were not listed in the answer, by the code omitted.",
		}, []string{"feature", "code"}),
		stored: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_stored_values_ignored_total",
			Help: "Values of stored customers that broke the schema and were taken as absent, by feature and code.",
		}, []string{"feature", "code"}),
		mapped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_unknown_categories_total",
			Help: "Unlisted categories that were taken as the schema's unknown value, by feature.",
		}, []string{"feature"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_outcomes_total",
			Help: "Outcomes received, by what became of them.",
		}, []string{"result"}),
		ledgerFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_ledger_failures_total",
			Help: "Predictions that were answered but could not be recorded.",
		}),
	}
	for _, result := range []string{"recorded", "duplicate", "unmatched"} {
		m.outcomes.WithLabelValues(result) // from 0 on, so that the first one is an increase
	}
	m.scored = m.scorer.WithLabelValues("ok")
	stages := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "gateway_request_stage_seconds",
		Help:    "Where the time of predictions went, besides the model's (gateway_scorer_seconds): to read them, to prepare the rows (stored features, checks, encoding), to record what was predicted.",
		Buckets: prometheus.ExponentialBuckets(0.000005, 4, 10),
	}, []string{"stage"})
	m.read, m.prepare, m.record = stages.WithLabelValues("read"), stages.WithLabelValues("prepare"), stages.WithLabelValues("record")
	reg.MustRegister(m.scorer, m.violations, m.stored, m.mapped, m.outcomes, m.ledgerFailures, stages)
	return m
}

// ObserveRead notes how long it took to read a request that began to come then.
// Each stage costs a look at the clock and a few atomic additions, a tenth of a
// microsecond.
func (s *Service) ObserveRead(begun time.Time) { s.metrics.read.Observe(time.Since(begun).Seconds()) }
