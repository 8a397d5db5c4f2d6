package app

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"gateway/api"
	"gateway/internal/demo"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
	"gateway/internal/tracing/tracetest"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/gatewaytest"
)

var updateMetrics = flag.Bool("update-metrics", false, "write the table of metrics into docs/operations.md")

// metric is a metric as /metrics shows it.
type metric struct {
	kind, help string
	labels     map[string]map[string]bool // values by label
}

// shown are the metrics of gateways that have had some of everything: one on
// this machine, with Postgres and keys, and one on the stand-in of SageMaker.
func shown(t *testing.T) map[string]*metric {
	t.Helper()
	all := make(map[string]*metric)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", tracetest.Start(t).URL)
	t.Setenv("GATEWAY_API_KEYS_SECRET_ID", "file:"+gatewaytest.WriteFile(t, "keys.json", `{"keys":{"web":"web-key"}}`))
	t.Setenv("GATEWAY_ADMIN_ADDR", "127.0.0.1:0")
	t.Run("on this machine", func(t *testing.T) {
		t.Setenv("GATEWAY_DB_SECRET_ID", "file:"+gatewaytest.DatabaseSecret(t))
		t.Setenv("GATEWAY_RETRAIN_SCHEDULE", "30 2 * * 1")
		t.Setenv("GATEWAY_RETRAIN_OUTCOMES", "1000000")
		g := start(t, newConfig(t))
		g.ready(t)
		g.busy(t)
		g.collect(t, all)
	})
	t.Run("on SageMaker", func(t *testing.T) {
		g := start(t, awsConfig(t, gatewaytest.StartSandbox(t), "GATEWAY_HEDGE", "p95"))
		few, err := demo.Customers(schema.Bank(), 1000, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := g.models[0].customers.PutCustomers(t.Context(), few); err != nil {
			t.Fatal(err)
		}
		if r := g.renew(t, api.RetrainRequest{}); r.Status != modelswap.Succeeded {
			t.Fatalf("the renewal is %s: %s", r.Status, r.Error)
		}
		g.ready(t)
		g.busy(t)
		g.collect(t, all)
	})
	return all
}

// busy sends some of everything that is counted.
func (g *gatewayUnderTest) busy(t *testing.T) {
	t.Helper()
	public, sent := g.servers[0].URL(), 0
	send := func(path, body string, status int) {
		t.Helper()
		sent++
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, public+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Api-Key", "web-key")
		r.Header.Set("Idempotency-Key", strconv.Itoa(sent))
		res, err := g.client.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if text, _ := io.ReadAll(res.Body); res.StatusCode != status {
			t.Fatalf("%s is %d, want %d: %s", path, res.StatusCode, status, text)
		}
	}
	features := `"age":34,"marital":"married","education":"high.school","default":"no","housing":"yes","loan":"no","contact":"cellular",` +
		`"month":"jun","day_of_week":"wed","duration":190,"campaign":1,"pdays":3,"previous":4,"poutcome":"success","emp_var_rate":-1.7,` +
		`"cons_price_idx":94.055,"cons_conf_idx":-39.8,"euribor3m":0.715,"nr_employed":4991.6`
	send("/predict", `{"customer_id":"anna","features":{"job":"technician",`+features+`}}`, http.StatusOK)
	send("/predict", `{"features":{"job":"juggler",`+features+`}}`, http.StatusOK) // taken as unknown
	send("/predict", `{"features":{"age":3400}}`, http.StatusUnprocessableEntity)
	send("/predict/batch", `{"instances":[{"customer_id":"anna"}]}`, http.StatusUnprocessableEntity)
	send("/endpoints/elsewhere/invocations", "34", http.StatusBadRequest)
	send("/outcomes", `{"customer_id":"anna","outcome":1}`, http.StatusAccepted)
	if r := g.renew(t, api.RetrainRequest{Force: true}); r.Status != modelswap.Succeeded {
		t.Fatalf("the renewal is %s: %s", r.Status, r.Error)
	}
	// As many as drift needs.
	send("/predict/batch", `{"instances":[`+strings.TrimSuffix(strings.Repeat(`{"features":{"job":"technician",`+features+`}},`, 200), ",")+`]}`, http.StatusOK)
	gatewaytest.Eventually(t, "the outbox is empty", func() bool { return g.components.outbox.Stats().Rows == 0 })
	if err := g.models[0].watch.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// collect adds what /metrics shows. All that is registered has to be there.
func (g *gatewayUnderTest) collect(t *testing.T, all map[string]*metric) {
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
	for name, family := range families {
		m := all[name]
		if m == nil {
			m = &metric{kind: strings.ToLower(family.GetType().String()), help: family.GetHelp(), labels: make(map[string]map[string]bool)}
			all[name] = m
		}
		for _, series := range family.Metric {
			m.add(series.Label)
		}
	}
	descriptions := make(chan *prometheus.Desc, 1000)
	g.components.registry.Describe(descriptions)
	close(descriptions)
	for desc := range descriptions {
		name, m := described(t, desc)
		switch {
		case !strings.HasPrefix(name, "gateway_") || all[name] != nil:
		case !strings.HasSuffix(name, "_total"):
			t.Errorf("%s is registered, and /metrics does not show it: provoke it", name)
		default:
			all[name] = m
		}
	}
}

var description = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: (".*"), unit: ".*", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// described reads what a counter says of itself that has not counted yet, and
// so is not shown: such as what is turned away, which takes too much load.
func described(t *testing.T, desc *prometheus.Desc) (name string, m *metric) {
	t.Helper()
	fields := description.FindStringSubmatch(desc.String())
	if fields == nil {
		t.Fatalf("not a description: %s", desc)
	}
	help, err := strconv.Unquote(fields[2])
	if err != nil {
		t.Fatal(err)
	}
	m = &metric{kind: "counter", help: help, labels: make(map[string]map[string]bool)}
	for label := range strings.SplitSeq(fields[4], ",") {
		if label != "" {
			m.labels[label] = map[string]bool{}
		}
	}
	return fields[1], m
}

func (m *metric) add(labels []*dto.LabelPair) {
	for _, l := range labels {
		if m.labels[l.GetName()] == nil {
			m.labels[l.GetName()] = make(map[string]bool)
		}
		m.labels[l.GetName()][l.GetValue()] = true
	}
}

// table is the metrics for docs/operations.md.
func table(all map[string]*metric) string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.HasPrefix(name, "gateway_") {
			continue // of Go and of the process: the same everywhere
		}
		m := all[name]
		labels := strings.Join(slices.Sorted(maps.Keys(m.labels)), ", ")
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, m.kind, cmp.Or(labels, "–"), strings.ReplaceAll(m.help, "|", `\|`))
	}
	return b.String()
}

const (
	tableBegin = "<!-- metrics: written by go test ./internal/app -run TestTheMetricsAreThoseOfTheDocuments -update-metrics -->\n"
	tableEnd   = "<!-- /metrics -->"
)

func TestTheMetricsAreThoseOfTheDocuments(t *testing.T) {
	all := shown(t)
	operations := filepath.Join("..", "..", "docs", "operations.md")
	text, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), tableBegin)
	documented, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		t.Fatalf("%s has no place for the table of metrics", operations)
	}
	if *updateMetrics {
		if err := os.WriteFile(operations, []byte(before+tableBegin+table(all)+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if documented != table(all) {
		t.Errorf("the table of metrics in %s is out of date; see the comment above it. It should be:\n%s", operations, table(all))
	}
	files, err := filepath.Glob(filepath.Join("..", "..", "deploy", "monitoring", "*"))
	if err != nil {
		t.Fatal(err)
	}
	documents, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(append(files, documents...), filepath.Join("..", "..", "README.md")) {
		if info, err := os.Stat(file); err != nil || info.IsDir() {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range strangers(string(text), all) {
			t.Errorf("%s: %s", filepath.Base(file), fault)
		}
	}
}

// unseen are values of labels that a healthy gateway does not show, by metric
// and label. The code that writes them is what they are to be held against.
var unseen = map[string]string{
	"gateway_http_requests_total code":   "5..|503|429",
	"gateway_http_request_seconds class": "5xx",
	"gateway_quality metric":             "auc|auc_low|auc_high", // which need outcomes
}

var (
	selectors = regexp.MustCompile(`\b((?:gateway|go|process)_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	matchers  = regexp.MustCompile(`([a-zA-Z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	groupings = regexp.MustCompile(`\b(?:by|on|without|ignoring)\s*\(([a-z_, ]*)\)`)
	histogram = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// strangers are the metrics, labels and values in a text that no gateway shows.
func strangers(text string, all map[string]*metric) []string {
	var faults []string
	add := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	text = strings.ReplaceAll(text, `\"`, `"`) // in JSON
	known := map[string]bool{"le": true, "instance": true, "job": true}
	for _, m := range all {
		for label := range m.labels {
			known[label] = true
		}
	}
	text = strings.ReplaceAll(text, "gateway_ask_…", "") // tables in Athena
	for _, found := range selectors.FindAllStringSubmatch(text, -1) {
		name, m := found[1], all[found[1]]
		if base := histogram.ReplaceAllString(name, ""); m == nil && all[base] != nil && all[base].kind == "histogram" {
			name, m = base, all[base]
		}
		switch family := strings.HasSuffix(name, "_"); {
		case m == nil && family && slices.ContainsFunc(slices.Collect(maps.Keys(all)), func(n string) bool { return strings.HasPrefix(n, name) }):
			continue // prose about several
		case m == nil:
			add("there is no metric %s", found[1])
			continue
		}
		for _, matcher := range matchers.FindAllStringSubmatch(found[2], -1) {
			label, operator, value := matcher[1], matcher[2], matcher[3]
			values, ok := m.labels[label]
			switch {
			case label == "le" || label == "instance" || label == "job" || strings.HasPrefix(value, "$"):
				continue
			case !ok:
				add("%s has no label %s", name, label)
				continue
			}
			for _, want := range alternatives(operator, value) {
				exact := regexp.MustCompile("^(?:" + want + ")$")
				seen := slices.ContainsFunc(slices.Collect(maps.Keys(values)), exact.MatchString)
				if !seen && !slices.Contains(strings.Split(unseen[name+" "+label], "|"), want) {
					add("%s has no %s=%q", name, label, want)
				}
			}
		}
	}
	for _, found := range groupings.FindAllStringSubmatch(text, -1) {
		for label := range strings.SplitSeq(found[1], ",") {
			if label = strings.TrimSpace(label); label != "" && !known[label] {
				add("no metric has the label %s", label)
			}
		}
	}
	return faults
}

// alternatives are the values that a matcher names, as regular expressions.
func alternatives(operator, value string) []string {
	if operator == "=" || operator == "!=" {
		return []string{regexp.QuoteMeta(value)}
	}
	return strings.Split(value, "|")
}

func TestStrangersAreFound(t *testing.T) {
	all := map[string]*metric{
		"gateway_a_total":   {kind: "counter", labels: map[string]map[string]bool{"code": {"200": true}}},
		"gateway_b_seconds": {kind: "histogram", labels: map[string]map[string]bool{"stage": {"read": true}}},
	}
	for text, want := range map[string]string{
		`sum by (code) (rate(gateway_a_total{code="200",job="$job"}[5m]))`:                  "",
		`histogram_quantile(0.99, sum by (le, stage) (rate(gateway_b_seconds_bucket[5m])))`: "",
		`"expr": "gateway_b_seconds_sum{stage=~\"read|read\"}"`:                             "",
		"`gateway_b_…` are several":                                                         "",
		`gateway_c_total`:                                                                   "there is no metric gateway_c_total",
		`gateway_a_total_bucket`:                                                            "there is no metric gateway_a_total_bucket",
		`gateway_a_total{route="/predict"}`:                                                 "gateway_a_total has no label route",
		`"gateway_b_seconds_count{stage=~\"read|rite\"}"`:                                   `gateway_b_seconds has no stage="rite"`,
		`gateway_a_total{code!="404"}`:                                                      `gateway_a_total has no code="404"`,
		`sum by (color) (gateway_a_total)`:                                                  "no metric has the label color",
	} {
		if got := strings.Join(strangers(text, all), "; "); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
