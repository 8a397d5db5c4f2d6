package secrets

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	reads *prometheus.CounterVec
	store *Store
}

var (
	ageDesc = prometheus.NewDesc("gateway_secret_age_seconds",
		"Time since the source of a secret last answered with a valid value, in seconds.", []string{"secret"}, nil)
	versionDesc = prometheus.NewDesc("gateway_secret_version_info",
		"1 for each known version of a secret, by stage: current, pending (the next one, which may already work during a rotation) or previous.",
		[]string{"secret", "stage", "version"}, nil)
)

// newMetrics registers the metrics. Ages and versions are collected on demand, so that a
// version that is gone leaves no series.
func newMetrics(reg prometheus.Registerer, s *Store) *metrics {
	m := &metrics{store: s, reads: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_secret_reads_total",
		Help: "Reads of a secret from its source, by result: ok, or failed if it could not be read or parsed.",
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
