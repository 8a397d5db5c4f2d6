// Package check holds the rules and the dashboard of deploy/monitoring against
// Prometheus' own parser, and lets each alert fire in Prometheus' own engine.
// That their metrics exist is checked elsewhere, with a gateway that runs
// (cmd/gateway). It is a module of its own, because what it needs is not what
// the gateway needs.
package check

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

var promQL = parser.NewParser(parser.Options{})

// rules reads the rules, which checks their syntax, templates included.
func rules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, faults := rulefmt.ParseFile("../alerts.yaml", false, model.UTF8Validation, promQL, slog.New(slog.DiscardHandler))
	for _, fault := range faults {
		t.Error(fault)
	}
	if len(faults) > 0 {
		t.FailNow()
	}
	var all []rulefmt.Rule
	for _, group := range groups.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

func TestEachAlertSaysHowBadItIsAndHasARunbook(t *testing.T) {
	operations, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	alerts := make(map[string]bool)
	for _, rule := range rules(t) {
		if rule.Alert == "" {
			continue
		}
		alerts[rule.Alert] = true
		if s := rule.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s has the severity %q", rule.Alert, s)
		}
		if rule.Annotations["summary"] == "" {
			t.Errorf("%s has no summary", rule.Alert)
		}
	}
	rows := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| `(Gateway[A-Za-z]+)` \\|").FindAllStringSubmatch(string(operations), -1) {
		rows[row[1]] = true
	}
	if a, r := slices.Sorted(maps.Keys(alerts)), slices.Sorted(maps.Keys(rows)); !slices.Equal(a, r) {
		t.Errorf("alerts.yaml has %s\noperations.md has %s", a, r)
	}
}

func TestTheDashboardsQueriesCanBeParsed(t *testing.T) {
	text, err := os.ReadFile("../dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			ID         int
			Title      string
			Datasource struct{ UID string }
			Targets    []struct {
				Expr, RefID string
				Datasource  struct{ UID string }
			}
		}
		Templating struct {
			List []struct{ Name, Type string }
		}
		Annotations struct {
			List []struct{ Name, Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	if v := board.Templating.List; len(v) == 0 || v[0].Name != "datasource" || v[0].Type != "datasource" {
		t.Errorf("the dashboard's first variable is not its data source: %+v", v)
	}
	variables := strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h")
	ids, queries := make(map[int]bool), 0
	for _, panel := range board.Panels {
		if ids[panel.ID] {
			t.Errorf("%s: another panel has its id", panel.Title)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			queries++
			if target.Datasource.UID != "${datasource}" {
				t.Errorf("%s %s asks %q", panel.Title, target.RefID, target.Datasource.UID)
			}
			if _, err := promQL.ParseExpr(variables.Replace(target.Expr)); err != nil {
				t.Errorf("%s %s: %v", panel.Title, target.RefID, err)
			}
		}
	}
	for _, annotation := range board.Annotations.List {
		if _, err := promQL.ParseExpr(variables.Replace(annotation.Expr)); err != nil {
			t.Errorf("%s: %v", annotation.Name, err)
		}
	}
	if queries == 0 {
		t.Error("the dashboard asks nothing")
	}
}

func TestEachAlertFiresWhenItShouldAndNotBefore(t *testing.T) {
	all, fired := rules(t), make(map[string]bool)
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, append(slices.Clone(tt.series), healthy...))
			for now := time.Duration(0); now <= tt.at; now += step {
				w.evaluate(all, now)
				if early := w.firing(all, now); now < tt.quiet && len(early) > 0 {
					t.Fatalf("%s fire after %s, which is too early", early, now)
				}
			}
			got := w.firing(all, tt.at)
			for _, alert := range got {
				fired[alert] = true
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("after %s %q fire, want %q", tt.at, got, tt.want)
			}
		})
	}
	for _, rule := range all {
		if rule.Alert != "" && !fired[rule.Alert] {
			t.Errorf("%s fires in no case", rule.Alert)
		}
	}
}

// world is series, and what Prometheus makes of them.
type world struct {
	t      *testing.T
	engine *promql.Engine
	series []*series
	since  map[string]time.Duration // when an alert, with its labels, began to be true
}

func newWorld(t *testing.T, descriptions []string) *world {
	t.Helper()
	w := &world{t: t, since: make(map[string]time.Duration), engine: promql.NewEngine(promql.EngineOpts{
		MaxSamples: 10_000_000, Timeout: time.Minute, Parser: promQL})}
	for _, description := range descriptions {
		l, values, err := promQL.ParseSeriesDesc(description)
		if err != nil {
			t.Fatalf("%s: %v", description, err)
		}
		if w.find(l) != nil {
			continue // the case has one of its own
		}
		s := &series{labels: l}
		for i, v := range values {
			if !v.Omitted {
				s.samples = append(s.samples, sample{(epoch + time.Duration(i)*step).Milliseconds(), v.Value})
			}
		}
		w.series = append(w.series, s)
	}
	return w
}

func (w *world) find(l labels.Labels) *series {
	for _, s := range w.series {
		if labels.Equal(s.labels, l) {
			return s
		}
	}
	return nil
}

// evaluate does what Prometheus does at each interval.
func (w *world) evaluate(all []rulefmt.Rule, now time.Duration) {
	w.t.Helper()
	for _, rule := range all {
		result := w.ask(rule.Expr, now)
		if rule.Record != "" {
			for _, point := range result {
				w.record(rule.Record, point, now)
			}
			continue
		}
		active := make(map[string]bool)
		for _, point := range result {
			key := rule.Alert + point.Metric.String()
			active[key] = true
			if _, ok := w.since[key]; !ok {
				w.since[key] = now
			}
		}
		for key := range w.since {
			if strings.HasPrefix(key, rule.Alert+"{") && !active[key] {
				delete(w.since, key)
			}
		}
	}
}

func (w *world) ask(expr string, now time.Duration) promql.Vector {
	w.t.Helper()
	query, err := w.engine.NewInstantQuery(context.Background(), w, nil, expr, time.UnixMilli((epoch + now).Milliseconds()))
	if err != nil {
		w.t.Fatalf("%s: %v", expr, err)
	}
	defer query.Close()
	result := query.Exec(context.Background())
	vector, err := result.Vector()
	if err != nil {
		w.t.Fatalf("%s: %v", expr, err)
	}
	return vector
}

func (w *world) record(name string, point promql.Sample, now time.Duration) {
	l := labels.NewBuilder(point.Metric).Set(model.MetricNameLabel, name).Labels()
	s := w.find(l)
	if s == nil {
		s = &series{labels: l}
		w.series = append(w.series, s)
	}
	s.samples = append(s.samples, sample{(epoch + now).Milliseconds(), point.F})
}

// firing names the alerts that have been true for as long as they have to be.
func (w *world) firing(all []rulefmt.Rule, now time.Duration) []string {
	var names []string
	for _, rule := range all {
		for key, since := range w.since {
			if strings.HasPrefix(key, rule.Alert+"{") && now-since >= time.Duration(rule.For) && !slices.Contains(names, rule.Alert) {
				names = append(names, rule.Alert)
			}
		}
	}
	slices.Sort(names)
	return names
}
