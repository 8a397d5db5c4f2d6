package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"gateway/internal/gatewaytest"
	"gateway/internal/tracing/tracetest"
)

// TestTheMetricsOfAlertsAreThereFromTheStart looks at gateways that have had no
// request yet. A series that begins with its first event is no increase.
func TestTheMetricsOfAlertsAreThereFromTheStart(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", tracetest.Start(t).URL)
	t.Setenv("GATEWAY_API_KEYS_SECRET_ID", "file:"+gatewaytest.WriteFile(t, "keys.json", `{"keys":{"web":"web-key"}}`))
	t.Run("on this machine", func(t *testing.T) {
		// There is no endpoint, so there are neither calls of it nor a breaker. Quality needs
		// outcomes; its alert compares values, and no increase.
		withoutSeries(t, start(t, newConfig(t)), "gateway_quality", "gateway_breaker_state", "gateway_batch_shed_total", "gateway_batch_call_seconds_count")
	})
	t.Run("on SageMaker", func(t *testing.T) {
		withoutSeries(t, start(t, awsConfig(t, gatewaytest.StartSandbox(t))), "gateway_quality")
	})
}

// withoutSeries checks which metrics that alerts select have no series that the
// selector matches.
func withoutSeries(t *testing.T, g *gatewayUnderTest, want ...string) {
	t.Helper()
	res, err := g.client.HTTP.Get(g.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	missing := make(map[string]bool)
	for _, name := range want {
		missing[name] = true
	}
	for _, expr := range alertExpressions(t) {
		for _, found := range selectors.FindAllStringSubmatch(expr, -1) {
			family := families[found[1]]
			if family == nil {
				family = families[histogram.ReplaceAllString(found[1], "")]
			}
			has := false
			for _, series := range family.GetMetric() {
				labels := make(map[string]string)
				for _, l := range series.Label {
					labels[l.GetName()] = l.GetValue()
				}
				has = has || selects(found[2], labels)
			}
			if has == missing[found[1]] {
				t.Errorf("%s: a series is there: %v\n%s", found[0], has, expr)
			}
		}
	}
}

// selects reports whether the matchers of a selector match labels.
func selects(text string, labels map[string]string) bool {
	for _, m := range matchers.FindAllStringSubmatch(text, -1) {
		name, operator, value := m[1], m[2], m[3]
		matched := labels[name] == value
		if strings.HasSuffix(operator, "~") {
			matched = regexp.MustCompile("^(?:" + value + ")$").MatchString(labels[name])
		}
		if matched == strings.HasPrefix(operator, "!") {
			return false
		}
	}
	return true
}

// alertExpressions are the expressions of all rules.
func alertExpressions(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "monitoring", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct{ Expr string }
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			all = append(all, rule.Expr)
		}
	}
	if len(all) == 0 {
		t.Fatal("there are no rules")
	}
	return all
}
