package modelswap

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	renewals     *prometheus.CounterVec
	stepSeconds  *prometheus.HistogramVec
	lastSuccess  prometheus.Gauge
	modelCreated prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		renewals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_renewals_total",
			Help: "Renewals that ended, by how.",
		}, []string{"status"}),
		stepSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gateway_renewal_step_seconds",
			Help:    "How long the steps of renewals took, waiting included.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 10),
		}, []string{"step"}),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_renewal_last_success_timestamp_seconds",
			Help: "When a renewal last succeeded in this process; 0 if none has.",
		}),
		modelCreated: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_model_created_timestamp_seconds",
			Help: "When the renewal began whose model serves; its age is the model's age.",
		}),
	}
	reg.MustRegister(m.renewals, m.stepSeconds, m.lastSuccess, m.modelCreated)
	return m
}
