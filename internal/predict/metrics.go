package predict

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	scorer         *prometheus.HistogramVec
	scored         prometheus.Observer // of scorer: what was answered
	violations     *prometheus.CounterVec
	stored         *prometheus.CounterVec
	mapped         *prometheus.CounterVec
	outcomes       *prometheus.CounterVec
	ledgerFailures prometheus.Counter
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
			Help: "Values of requests that broke the schema, by feature and code.",
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
	m.scored = m.scorer.WithLabelValues("ok")
	reg.MustRegister(m.scorer, m.violations, m.stored, m.mapped, m.outcomes, m.ledgerFailures)
	return m
}
