package admission

import "github.com/prometheus/client_golang/prometheus"

// limitMetrics are the metrics of a Limit.
type limitMetrics struct {
	shedTotal *prometheus.CounterVec
}

func newLimitMetrics(reg prometheus.Registerer, l *Limit) *limitMetrics {
	gauge := func(name, help string, value func(LimitStatus) int) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return float64(value(l.Status())) }))
	}
	gauge("gateway_limit_places", "Places for requests of apps; the number is learned.", func(s LimitStatus) int { return s.Places })
	gauge("gateway_limit_places_max", "Maximum number of places that can be learned.", func(s LimitStatus) int { return s.Ceiling })
	gauge("gateway_limit_places_in_use", "Places that are taken. A large body takes several.", func(s LimitStatus) int { return s.InUse })
	gauge("gateway_limit_callers", "Callers with requests at the moment. Callers without an API key count as one.", func(s LimitStatus) int { return s.Callers })
	gauge("gateway_limit_memory_bytes", "Bytes of memory that large requests hold: bodies, what is decoded from them, and responses.", func(s LimitStatus) int { return int(s.Memory) })
	gauge("gateway_limit_memory_max_bytes", "Maximum number of bytes that large requests may hold.", func(s LimitStatus) int { return int(s.MemoryMax) })
	gauge("gateway_streams_open", "Streams of apps that are open.", func(s LimitStatus) int { return s.Streams })
	gauge("gateway_streams_scoring", "Open streams of apps whose rows are being scored. The others wait for their callers or for a turn.", func(s LimitStatus) int { return s.Scoring })
	m := &limitMetrics{shedTotal: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_shed_total",
		Help: "Requests of apps that were refused because of overload, by reason, by class of request, and by whether the caller had more than its share.",
	}, []string{"reason", "class", "caller"})}
	for why := range reasons {
		for class := range classes {
			for _, caller := range []string{withoutKey, withinShare, beyondShare} {
				m.shedTotal.WithLabelValues(why.String(), class.String(), caller) // with value 0, so that the first refusal is an increase
			}
		}
	}
	reg.MustRegister(m.shedTotal)
	return m
}

func (m *limitMetrics) shed(why reason, class Class, caller string) {
	m.shedTotal.WithLabelValues(why.String(), class.String(), caller).Inc()
}
