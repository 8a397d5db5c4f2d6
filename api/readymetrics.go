package api

import (
	"context"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// dependencyUp tells of the dependencies what /readyz tells, so that an alert
// can hang on it. It is looked at when the metrics are, and as seldom.
type dependencyUp struct{ readiness *readiness }

var dependencyUpDesc = prometheus.NewDesc("gateway_dependency_up",
	"1 for a dependency that works, 0 for one that does not, as /readyz has it. Without a required one the gateway cannot predict.",
	[]string{"dependency", "required"}, nil)

// Describe implements prometheus.Collector.
func (d dependencyUp) Describe(ch chan<- *prometheus.Desc) { ch <- dependencyUpDesc }

// Collect implements prometheus.Collector.
func (d dependencyUp) Collect(ch chan<- prometheus.Metric) {
	now, err := d.readiness.get(context.Background())
	if err != nil {
		return // only a context can end the wait, and this one does not
	}
	for _, dependency := range d.readiness.deps {
		up := 0.0
		if now.Dependencies[dependency.Name].State == stateOK {
			up = 1
		}
		ch <- prometheus.MustNewConstMetric(dependencyUpDesc, prometheus.GaugeValue, up, dependency.Name, strconv.FormatBool(dependency.Required))
	}
}
