package admission

import "github.com/prometheus/client_golang/prometheus"

// limitMetrics tell what is let in, and what is not and why.
type limitMetrics struct {
	shedTotal *prometheus.CounterVec
}

func newLimitMetrics(reg prometheus.Registerer, l *Limit) *limitMetrics {
	gauge := func(name, help string, value func(LimitStatus) int) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return float64(value(l.Status())) }))
	}
	gauge("gateway_limit_places", "Places for requests of apps, as learned.", func(s LimitStatus) int { return s.Places })
	gauge("gateway_limit_places_max", "The most places that may be learned.", func(s LimitStatus) int { return s.Ceiling })
	gauge("gateway_limit_places_in_use", "Places that are taken; a large body takes several.", func(s LimitStatus) int { return s.InUse })
	gauge("gateway_limit_callers", "Callers with requests now, told apart by their keys.", func(s LimitStatus) int { return s.Callers })
	gauge("gateway_limit_memory_bytes", "Memory that large requests hold: bodies, what is decoded of them, and answers.", func(s LimitStatus) int { return int(s.Memory) })
	gauge("gateway_limit_memory_max_bytes", "The most memory that large requests may hold.", func(s LimitStatus) int { return int(s.MemoryMax) })
	gauge("gateway_streams_open", "Streams of apps that are open.", func(s LimitStatus) int { return s.Streams })
	gauge("gateway_streams_scoring", "Streams of apps whose rows are being scored. The others wait for their callers, or for a turn.", func(s LimitStatus) int { return s.Scoring })
	m := &limitMetrics{shedTotal: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_shed_total",
		Help: "Requests of apps that were turned away because there was too much to do, by reason, by what they asked for, and by whether the caller had more than its share.",
	}, []string{"reason", "class", "caller"})}
	for why := range reasons {
		for class := range classes {
			for _, caller := range []string{withoutKey, withinShare, beyondShare} {
				m.shedTotal.WithLabelValues(why.String(), class.String(), caller) // from 0 on, so that the first one is an increase
			}
		}
	}
	reg.MustRegister(m.shedTotal)
	return m
}

func (m *limitMetrics) shed(why reason, class Class, caller string) {
	m.shedTotal.WithLabelValues(why.String(), class.String(), caller).Inc()
}
