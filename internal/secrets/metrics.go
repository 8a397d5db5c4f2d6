package secrets

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	reads *prometheus.CounterVec
	store *Store
}

var (
	ageDesc = prometheus.NewDesc("gateway_secret_age_seconds",
		"How long ago the source of a secret last answered with something that makes sense.", []string{"secret"}, nil)
	versionDesc = prometheus.NewDesc("gateway_secret_version_info",
		"The versions of a secret that are known, by stage: current, pending (it served before its rotation ended) or previous.",
		[]string{"secret", "stage", "version"}, nil)
)

// newMetrics registers the metrics. What the store knows now is asked for when
// the metrics are, so versions that are gone leave no series behind.
func newMetrics(reg prometheus.Registerer, s *Store) *metrics {
	m := &metrics{store: s, reads: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_secret_reads_total",
		Help: "Looks at the source of a secret, by whether it could be read and understood.",
	}, []string{"secret", "result"})}
	reg.MustRegister(m.reads, m)
	return m
}

func (m *metrics) read(secret string, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.reads.WithLabelValues(secret, result).Inc()
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- ageDesc
	ch <- versionDesc
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, s := range m.store.States() {
		ch <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, s.Age, s.Name)
		for stage, version := range s.Versions {
			ch <- prometheus.MustNewConstMetric(versionDesc, prometheus.GaugeValue, 1, s.Name, string(stage), version)
		}
	}
}
