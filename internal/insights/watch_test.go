package insights_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"gateway/internal/insights"
	"gateway/internal/predict"
)

func TestWatch(t *testing.T) {
	x := newShop(t, 7)
	reg := prometheus.NewRegistry()
	held := .99
	reports := insights.NewReportsAt(x.schema, x.memory, models{{Name: "m", Serving: true, AUC: &held}}, insights.Options{Maturity: time.Hour}, func() time.Time { return x.now })
	w := insights.NewWatch(reports, insights.WatchOptions{Drift: true, Quality: insights.Floor{Figure: "auc", Value: .7}}, slog.New(slog.DiscardHandler), reg)
	look := func() *insights.Alarm {
		t.Helper()
		if err := w.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		return w.Alarm()
	}
	shows := func(name, text string) {
		t.Helper()
		if err := testutil.GatherAndCompare(reg, strings.NewReader(text+"\n"), name); err != nil {
			t.Error(err)
		}
	}
	x.predict(500)
	if a := look(); a != nil {
		t.Fatalf("alarm %+v", a)
	}
	shows("gateway_drift_alarm", `# HELP gateway_drift_alarm 1 if a feature or the score has drifted over the last 7 days, else 0.
# TYPE gateway_drift_alarm gauge
gateway_drift_alarm 0`)
	x.visits = 140
	x.predict(1000)
	a := look()
	if a == nil || !a.Drift || a.Model != "m" || !strings.HasPrefix(a.Reason, "visits has drifted: PSI ") {
		t.Fatalf("alarm %+v", a)
	}
	shows("gateway_drift_alarm", `# HELP gateway_drift_alarm 1 if a feature or the score has drifted over the last 7 days, else 0.
# TYPE gateway_drift_alarm gauge
gateway_drift_alarm 1`)
	if n, err := testutil.GatherAndCount(reg, "gateway_drift_psi"); n != 4 || err != nil {
		t.Errorf("%d features, want those that are not personal (%v)", n, err)
	}
	for i := range 200 { // outcomes that have nothing to do with the score
		p := &predict.Prediction{Model: "m", CreatedAt: x.now.Add(-10 * time.Hour), Score: float64(i) / 200, Label: i / 100}
		x.memory.Predict(p)
		x.memory.Report(insights.Outcome{Prediction: p, Label: i % 2, Received: x.now})
	}
	if a = look(); a == nil || a.Drift || !strings.HasPrefix(a.Reason, "auc is 0.5") {
		t.Fatalf("alarm %+v", a)
	}
	shows("gateway_quality_outcomes", `# HELP gateway_quality_outcomes Predictions of the serving model of the last 30 days whose outcome is known.
# TYPE gateway_quality_outcomes gauge
gateway_quality_outcomes 200`)
	if n, err := testutil.GatherAndCount(reg, "gateway_quality"); n != 11 || err != nil {
		t.Errorf("%d figures of quality (%v)", n, err)
	}
}

func TestParseFloor(t *testing.T) {
	for text, want := range map[string]insights.Floor{"": {}, "auc:0.85": {Figure: "auc", Value: .85}, "log_loss:1.5": {Figure: "log_loss", Value: 1.5}} {
		if got, err := insights.ParseFloor(text); got != want || err != nil {
			t.Errorf("%q: got %+v (%v)", text, got, err)
		}
	}
	for _, text := range []string{"auc", "auc:", "f1:0.5", "auc:-0.1", "auc:1.1", "auc:NaN", "log_loss:Inf", "auc:0.8 ", ":0.5"} {
		if got, err := insights.ParseFloor(text); err == nil {
			t.Errorf("%q became %+v", text, got)
		}
	}
}
