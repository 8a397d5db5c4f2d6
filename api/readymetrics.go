package api

import (
	"context"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// dependencyUp is the metric gateway_dependency_up: the result of /readyz, for alerts. It
// uses the same checks, so they run at most once in readyCache.
type dependencyUp struct{ readiness *readiness }

var dependencyUpDesc = prometheus.NewDesc("gateway_dependency_up",
	"1 for a dependency that works, 0 for one that does not, as on /readyz. Without a required dependency the gateway cannot predict.",
	[]string{"dependency", "required"}, nil)

// Describe implements prometheus.Collector.
func (d dependencyUp) Describe(ch chan<- *prometheus.Desc) { ch <- dependencyUpDesc }

// Collect implements prometheus.Collector.
func (d dependencyUp) Collect(ch chan<- prometheus.Metric) {
	now, err := d.readiness.get(context.Background())
	if err != nil {
		return // does not happen: only the end of the context is an error
	}
	for _, dependency := range d.readiness.deps {
		up := 0.0
		if now.Dependencies[dependency.Name].State == stateOK {
			up = 1
		}
		ch <- prometheus.MustNewConstMetric(dependencyUpDesc, prometheus.GaugeValue, up, dependency.Name, strconv.FormatBool(dependency.Required))
	}
}
