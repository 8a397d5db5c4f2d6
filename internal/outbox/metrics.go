package outbox

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	appended, drained, dropped, refused, setAside, damaged, drainFailures prometheus.Counter

	fsync, drainSeconds prometheus.Histogram
}

// newMetrics registers the metrics. Gauges are read from the outbox when the
// metrics are gathered.
func newMetrics(reg prometheus.Registerer, o *Outbox) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "gateway_outbox_" + name, Help: help})
		reg.MustRegister(c)
		return c
	}
	seconds := func(name, help string) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "gateway_outbox_" + name, Help: help,
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12)})
		reg.MustRegister(h)
		return h
	}
	gauge := func(name, help string, value func(Stats) float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gateway_outbox_" + name, Help: help},
			func() float64 { return value(o.Stats()) }))
	}
	gauge("rows", "Predictions in the outbox that are not in the database yet.", func(s Stats) float64 { return float64(s.Rows) })
	gauge("bytes", "Bytes of the predictions in the outbox that are not in the database yet.", func(s Stats) float64 { return float64(s.Bytes) })
	gauge("oldest_age_seconds", "Age of the oldest prediction in the outbox; 0 if it is empty.", func(s Stats) float64 {
		if s.Oldest.IsZero() {
			return 0
		}
		return max(0, time.Since(s.Oldest).Seconds())
	})
	gauge("unread_files", "Files in the folder of the outbox that could not be read as segments at the start. They are left as they are.",
		func(s Stats) float64 { return float64(s.Unread) })
	return &metrics{
		appended:      counter("appended_total", "Predictions that were written to the outbox."),
		drained:       counter("drained_total", "Predictions that were drained from the outbox to the database."),
		dropped:       counter("dropped_total", "Predictions that were answered but not recorded, because the outbox or its disk was full, or because the database that must have them first did not take them."),
		refused:       counter("refused_total", "Predictions that were not answered, because the outbox or its disk was full, or because the database that must have them first did not take them."),
		setAside:      counter("set_aside_total", "Predictions that the database refused or that were damaged. They are kept in the folders refused and damaged of the outbox."),
		damaged:       counter("damaged_total", "Damaged places that were found in segments."),
		drainFailures: counter("drain_failures_total", "Attempts to drain a batch that failed."),
		fsync:         seconds("fsync_seconds", "Duration of a flush to the disk of the outbox."),
		drainSeconds:  seconds("drain_seconds", "Duration of storing a batch in the database."),
	}
}
