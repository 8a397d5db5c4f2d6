package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gateway/api"
	"gateway/internal/gatewaytest"
	"gateway/internal/insights"
)

// TestInsightsCommand predicts, reports outcomes, and asks the gateway and then its data
// dir whether the model is still right.
func TestInsightsCommand(t *testing.T) {
	cfg := newConfig(t)
	cfg.Outcome.Maturity = "0"
	t.Setenv("GATEWAY_OUTCOME_MATURITY", "0")
	g := serveFilled(t, cfg)
	var lines strings.Builder
	for i := range 300 {
		customer := gatewaytest.Sample()
		customer["duration"], customer["age"] = 10*i, 90
		text, err := json.Marshal(map[string]any{"features": customer})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, "%s\n", text)
	}
	outcomes := 0
	for item, err := range g.client.PredictBatch(t.Context(), "application/x-ndjson", strings.NewReader(lines.String())) {
		if err != nil || item.PredictionID == "" {
			t.Fatalf("%+v %v", item, err)
		}
		if _, err := g.client.Outcome(t.Context(), api.Outcome{PredictionID: item.PredictionID, Outcome: outcomes / 150}); err != nil {
			t.Fatal(err)
		}
		outcomes++
	}
	g.drained(t)
	ask := func(where []string) {
		t.Helper()
		want := func(args []string, texts ...string) string {
			t.Helper()
			code, out, errs := command(t, append(slices.Clone(args), where...)...)
			if code != exitOK {
				t.Fatalf("%v ended with %d: %s", args, code, errs)
			}
			for _, text := range texts {
				if !strings.Contains(out, text) {
					t.Errorf("%v: no %q in:\n%s", args, text, out)
				}
			}
			return out
		}
		t.Log(want([]string{"insights", "quality"}, "predictions count 0s after they were made (set); 100 % of them", "(serving): 300 predictions, 300 mature, 300 outcomes, 150 of them positive",
			"auc ", "HELD OUT", "ESTIMATED AUC"))
		t.Log(want([]string{"insights", "quality", "--curves"}, "SCORE FROM", "OUTCOME 1", "THRESHOLD", "(as predicted)  ", "SHARE PREDICTED 1", "\n0               1.0000  1.0000"))
		var quality insights.QualityReport
		if out := want([]string{"insights", "quality", "--json", "--bucket", "hour"}); json.Unmarshal([]byte(out), &quality) != nil || len(quality.Models) != 1 ||
			quality.Models[0].AUC == nil || quality.Models[0].AUC.Count != 300 || quality.Models[0].Holdout == nil {
			t.Errorf("quality --json: %s", out)
		}
		t.Log(want([]string{"insights", "drift"}, "300 predictions from ", "ALARM", "age ", "YES", "(score)"))
		var drift insights.DriftReport
		if out := want([]string{"insights", "drift", "--json"}); json.Unmarshal([]byte(out), &drift) != nil || !drift.Alarm || len(drift.Features) != 20 ||
			drift.Reference.Rows == 0 || *drift.Features[slices.IndexFunc(drift.Features, func(f insights.FeatureDrift) bool { return f.Feature == "age" })].Missing.Live != 0 {
			t.Errorf("drift --json: %s", out)
		}
		want([]string{"insights", "drift", "--against", "week"}, "300 predictions from ", "compared with 0 predictions from ", "nothing has drifted", "in the week before", "0 of the reference")
		if code, _, errs := command(t, append([]string{"insights", "drift", "--against", "month"}, where...)...); code != exitFailed || !strings.Contains(errs, "training or week") {
			t.Errorf("--against month ended with %d: %s", code, errs)
		}
		want([]string{"insights", "correlations"}, "labelled rows", "duration", "contact", "telephone", "CORRELATION")
		var correlations insights.CorrelationReport
		if out := want([]string{"insights", "correlations", "--json"}); json.Unmarshal([]byte(out), &correlations) != nil || correlations.Rows != 1350 || len(correlations.Data) != 64 {
			t.Errorf("correlations --json: %s", out)
		}
		if code, _, errs := command(t, append([]string{"insights", "quality", "--bucket", "week"}, where...)...); code != exitFailed || !strings.Contains(errs, "hour or day") {
			t.Errorf("--bucket week ended with %d: %s", code, errs)
		}
		if code, _, errs := command(t, append([]string{"insights", "drift", "--model", "none"}, where...)...); code != exitFailed || !strings.Contains(errs, `no model "none"`) {
			t.Errorf("--model none ended with %d: %s", code, errs)
		}
	}
	ask([]string{"--url", g.url})
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	ask(nil)
}
