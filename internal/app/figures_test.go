package app

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gateway/api"
	"gateway/api/client"
	"gateway/internal/config"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
)

// churnSchema has a threshold of the given form.
func churnSchema(threshold string) string {
	return `
name: churn
id: id
label: {name: left, positive: ["yes"], negative: ["no"]}
` + threshold + `
features:
  - {name: months, type: number}
  - {name: calls, type: integer}
  - {name: closed, type: category, values: [a, b]}
`
}

// churnCSV are customers who leave more often after few months and many calls. The
// column closed says at random a or b or, if it tells, which of them left.
func churnCSV(rows int, tells bool) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString("id,months,calls,closed,left\n")
	for i := range rows {
		months, calls := random.Float64()*60, random.IntN(10)
		left := random.Float64() < 1/(1+math.Exp(2+0.05*months-0.5*float64(calls)))
		closed := random.IntN(2) == 1
		if tells {
			closed = left
		}
		fmt.Fprintf(&b, "%d,%.1f,%d,%s,%s\n", i, months, calls, map[bool]string{false: "a", true: "b"}[closed], map[bool]string{false: "no", true: "yes"}[left])
	}
	return b.String()
}

// startChurn starts a gateway with a schema of that threshold.
func startChurn(t *testing.T, threshold string) *gatewayUnderTest {
	t.Helper()
	t.Setenv("GATEWAY_SCHEMA", gatewaytest.WriteFile(t, "churn.yaml", churnSchema(threshold)))
	t.Setenv("GATEWAY_DEMO", "false")
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, cfg)
}

// churnModel imports customers and trains a model of them.
func (g *gatewayUnderTest) churnModel(t *testing.T, tells bool) *modelswap.Renewal {
	t.Helper()
	if report, err := g.client.Import(t.Context(), "text/csv", strings.NewReader(churnCSV(4000, tells)), client.ImportOptions{}, nil); err != nil || report.Failed > 0 {
		t.Fatalf("imported %+v (%v)", report, err)
	}
	r := g.renew(t, api.RetrainRequest{})
	if r.Status != modelswap.Succeeded {
		t.Fatalf("the renewal is %s: %s", r.Status, r.Error)
	}
	return r
}

// The threshold of the schema, here of costs, decides what is answered on each route
// and what is stored, is that of the figures, and changes without a new model.
func TestTheThresholdOfCostsFromEndToEnd(t *testing.T) {
	newConfig(t)
	g := startChurn(t, "threshold: {false_positive: 1, false_negative: 4}")
	r := g.churnModel(t, false)

	report, err := g.client.Model(t.Context(), *r.Model)
	if err != nil {
		t.Fatal(err)
	}
	if th := report.Threshold; th.Value != 0.2 || th.Source != modelswap.ThresholdOfCosts || th.Costs == nil || th.Costs.FalseNegative != 4 {
		t.Errorf("the threshold is %+v", th)
	}
	c := report.Figures.Confusion
	rows := report.Figures.Rows
	if c.Threshold != 0.2 || c.TruePositives+c.FalsePositives+c.TrueNegatives+c.FalseNegatives != rows ||
		math.Abs(float64(c.TruePositives+c.TrueNegatives)/float64(rows)-report.Metrics.Accuracy) > 1e-12 {
		t.Errorf("the confusion is %+v with an accuracy of %v", c, report.Metrics.Accuracy)
	}
	if len(report.Warnings) > 0 || len(report.Figures.Importance) != 3 || report.Figures.Importance[0].Feature != "calls" || len(report.Figures.Coefficients) != 4 {
		t.Errorf("the report is %+v, warnings %q", report.Figures, report.Warnings)
	}
	g.wantDecidedAt(t, 0.2)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}

	g = startChurn(t, "threshold: 0.4")
	g.ready(t)
	g.wantDecidedAt(t, 0.4)
	report, err = g.client.Model(t.Context(), *r.Model)
	if err != nil {
		t.Fatal(err)
	}
	want := "the threshold is 0.4 now; confusion, accuracy, precision and recall are those at 0.2, until the next renewal"
	if report.Threshold.Value != 0.4 || report.Threshold.Source != modelswap.ThresholdSet || !slices.Equal(report.Warnings, []string{want}) {
		t.Errorf("the threshold is %+v, warnings %q", report.Threshold, report.Warnings)
	}
}

// wantDecidedAt asks for predictions on each route, and holds their labels, and those
// that are stored, against their scores.
func (g *gatewayUnderTest) wantDecidedAt(t *testing.T, threshold float64) {
	t.Helper()
	seen := map[int]int{}
	check := func(what string, score float64, label int) {
		t.Helper()
		seen[label]++
		if (score >= threshold) != (label == 1) {
			t.Errorf("%s: score %v has label %d at the threshold %v", what, score, label, threshold)
		}
	}
	labels := map[string]int{}
	var rows strings.Builder
	rows.WriteString("months,calls,closed\n")
	for calls := range 10 {
		fmt.Fprintf(&rows, "12,%d,a\n", calls)
		p, err := g.client.Predict(t.Context(), api.PredictionRequest{Features: map[string]any{"months": 12, "calls": calls, "closed": "a"}})
		if err != nil {
			t.Fatal(err)
		}
		check("POST /predict", p.Score, p.PredictedLabel)
		labels[p.PredictionID] = p.PredictedLabel
	}
	for item, err := range g.client.PredictBatch(t.Context(), "text/csv", strings.NewReader(rows.String())) {
		if err != nil || item.Error != nil {
			t.Fatal(err, item.Error)
		}
		check("POST /predict/batch", item.Score, item.PredictedLabel)
		labels[item.PredictionID] = item.PredictedLabel
	}
	g.checkInvocations(t, check)
	if seen[0] == 0 || seen[1] == 0 {
		t.Fatalf("labels are %v: the scores are all on one side", seen)
	}
	stored := 0
	gatewaytest.Eventually(t, "all predictions are stored", func() bool {
		stored = 0
		for _, p := range g.storedPredictions(t) {
			if label, ours := labels[p["prediction_id"]]; ours {
				stored++
				if p["predicted_label"] != fmt.Sprint(label) {
					t.Fatalf("stored %v, answered %d", p, label)
				}
			}
		}
		return stored == len(labels)
	})
}

// checkInvocations asks in the form of SageMaker's runtime.
func (g *gatewayUnderTest) checkInvocations(t *testing.T, check func(what string, score float64, label int)) {
	t.Helper()
	for calls := range 10 {
		body := strings.NewReader(fmt.Sprintf("12,%d,1,0\n", calls))
		res, err := g.client.HTTP.Post(g.url+"/endpoints/"+g.cfg.EndpointName+"/invocations", "text/csv", body)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		var score, label float64
		if _, scanErr := fmt.Sscanf(string(text), `{"predictions":[{"score":%g,"predicted_label":%g}]}`, &score, &label); err != nil || scanErr != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%d: %s (%v, %v)", res.StatusCode, text, err, scanErr)
		}
		check("invocations", score, int(label))
	}
}

// storedPredictions are the rows of the ledger, by column.
func (g *gatewayUnderTest) storedPredictions(t *testing.T) (rows []map[string]string) {
	t.Helper()
	var text bytes.Buffer
	if err := g.client.Export(t.Context(), "/admin/predictions?format=csv", &text); err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(&text).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, cells := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = cells[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// A model that one column makes perfect is deployed, and said to be suspicious.
func TestAModelThatLearnedFromTheAnswerIsSuspicious(t *testing.T) {
	newConfig(t)
	g := startChurn(t, "")
	r := g.churnModel(t, true)
	const want = "AUC 1.0000: `closed` alone gives it; it may have been written after the outcome, or be the label in other words"
	if got := r.Step(modelswap.Evaluate).Detail["suspicious"]; got != want {
		t.Errorf("the renewal says %v, want %q", got, want)
	}
	report, err := g.client.Model(t.Context(), *r.Model)
	if err != nil || !slices.Equal(report.Warnings, []string{want}) || report.Figures.Suspicion == nil || !report.Serving {
		t.Errorf("the report (%v) warns %q", err, report.Warnings)
	}
	if !strings.Contains(g.logs.String(), "suspiciously good") {
		t.Error("the log does not say so")
	}
}
