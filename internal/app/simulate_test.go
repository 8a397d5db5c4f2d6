package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"gateway/api"
	"gateway/internal/config"
	"gateway/internal/insights"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

// simulatedEnd is a Monday, so that the days before it are of a weekend and a weekday.
var simulatedEnd = time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC)

func simulate(ctx context.Context, cfg config.Config, so SimulateOptions) (SimulateReport, error) {
	so.Days, so.End = 3, simulatedEnd
	return Simulate(ctx, cfg, Options{Log: slog.New(slog.DiscardHandler), DemoCustomers: 1500}, so)
}

// ledgerOf reads all predictions.
func ledgerOf(t *testing.T, a *App) (all []predict.Recorded) {
	t.Helper()
	for after := ""; ; after = all[len(all)-1].ID {
		page, err := a.models[0].line.PredictionsAfter(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if len(page) == 0 {
			return all
		}
	}
}

func TestSimulatedDays(t *testing.T) {
	cfg := newConfig(t)
	report, err := simulate(t.Context(), cfg, SimulateOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Demo = false
	g := start(t, cfg)
	ledger := ledgerOf(t, g.App)
	t.Run("the ledger has what the report says", func(t *testing.T) {
		outcomes := 0
		for i, p := range ledger {
			if p.CreatedAt.Before(report.From) || !p.CreatedAt.Before(report.To.Add(time.Minute)) {
				t.Fatalf("prediction %d was made at %s, outside %s to %s", i, p.CreatedAt, report.From, report.To)
			}
			if p.Outcome != nil {
				outcomes++
			}
		}
		count, err := g.models[0].count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(ledger) != report.Predictions || len(ledger) < 500 || int(count.Customers) != report.Customers {
			t.Errorf("%d predictions and %d customers, the report has %+v", len(ledger), count.Customers, report)
		}
		if share := float64(outcomes) / float64(len(ledger)); share < 0.4 || share > 0.8 {
			t.Errorf("%.2f of the predictions have an outcome", share)
		}
	})
	t.Run("insights answer", func(t *testing.T) {
		query := insights.Query{From: report.From, To: report.To}
		quality, err := g.models[0].reports.Quality(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		predictions, known := int64(0), false
		for _, m := range quality.Models {
			predictions += m.Predictions
			known = known || m.AUC != nil && m.AUC.Value > 0.7
		}
		if int(predictions) != len(ledger) || !known {
			t.Errorf("quality counts %d of %d predictions; an AUC is known: %v", predictions, len(ledger), known)
		}
		drift, err := g.models[0].reports.Drift(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(drift.Features, func(f insights.FeatureDrift) bool { return f.Feature == "campaign" })
		if !drift.Alarm || at < 0 || !drift.Features[at].Drifted {
			t.Errorf("the alarm is %v, campaign %+v", drift.Alarm, drift.Features[max(at, 0)])
		}
	})
	t.Run("renewals ended as planned", func(t *testing.T) {
		renewals, err := g.client.Renewals(t.Context(), 20, "")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range slices.Backward(renewals) {
			got = append(got, fmt.Sprintf("%s %s", r.Trigger, r.Status))
		}
		const want = "first succeeded, manual succeeded, schedule succeeded, drift succeeded, manual rejected, manual succeeded"
		if strings.Join(got, ", ") != want || len(renewals) != report.Renewals {
			t.Fatalf("got %s, want %s", strings.Join(got, ", "), want)
		}
		attempts, err := g.models[0].engine.Attempts(t.Context(), renewals[len(renewals)-2].ID)
		if err != nil {
			t.Fatal(err)
		}
		var trained []modelswap.StepStatus
		for _, s := range attempts {
			if s.Name == modelswap.Train {
				trained = append(trained, s.Status)
			}
		}
		if !slices.Equal(trained, []modelswap.StepStatus{modelswap.StepFailed, modelswap.StepSucceeded}) {
			t.Errorf("the resumed renewal trained with the results %v", trained)
		}
		// The last one was rolled back to that which drift had started.
		if byDrift := *renewals[2].Model; report.Model != byDrift {
			t.Errorf("%s serves, want %s", report.Model, byDrift)
		}
	})
	t.Run("the audit log has the acts", func(t *testing.T) {
		acts, err := g.components.store.Acts(t.Context(), 100, "")
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]int64)
		for _, a := range acts {
			if a.At.Before(report.From) || a.At.After(report.To) {
				t.Errorf("%s was at %s", a.Action, a.At)
			}
			got[fmt.Sprintf("%s %d", a.Action, a.Status)] += a.Count
		}
		want := map[string]int64{"POST /admin/retrain 202": 3, "POST /admin/renewals/{id}/resume 202": 1, "POST /admin/rollback 200": 1, "GET /admin/status 403": 17}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	t.Run("the gateway goes on", func(t *testing.T) {
		if _, err := g.client.Predict(t.Context(), api.PredictionRequest{CustomerID: ledger[len(ledger)-1].CustomerID}); err != nil {
			t.Error(err)
		}
	})
	t.Run("the same seed gives the same days", func(t *testing.T) {
		other := newConfig(t)
		if _, err := simulate(t.Context(), other, SimulateOptions{Seed: 1}); err != nil {
			t.Fatal(err)
		}
		other.Demo = false
		again := ledgerOf(t, start(t, other).App)
		if len(again) < len(ledger) {
			t.Fatalf("%d predictions, the first time %d", len(again), len(ledger))
		}
		for i, p := range ledger {
			if a, b := essence(p), essence(again[i]); a != b {
				t.Fatalf("prediction %d: %s, the first time %s", i, b, a)
			}
		}
	})
}

// essence is a prediction without what depends on the machine's speed. The name of a model
// has the second at which it was trained, and ends with part of the renewal's id.
func essence(p predict.Recorded) string {
	outcome := "none"
	if p.Outcome != nil {
		outcome = fmt.Sprintf("%d at %s", *p.Outcome, p.OutcomeAt)
	}
	return fmt.Sprint(p.ID, p.CustomerID, p.Caller, string(p.Features), p.Score, p.Label, p.Model[strings.LastIndex(p.Model, "-"):], outcome)
}

func TestASimulationLeavesExistingDataAlone(t *testing.T) {
	cfg := newConfig(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := simulate(ctx, cfg, SimulateOptions{Seed: 1, Progress: func(day int) {
		if day == 2 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("an interrupted simulation ends with %v", err)
	}
	if _, err := simulate(t.Context(), cfg, SimulateOptions{Seed: 1}); !errors.Is(err, ErrNotEmpty) {
		t.Fatalf("a second simulation ends with %v", err)
	}
	cfg.Demo = false
	g := start(t, cfg)
	before := ledgerOf(t, g.App)
	if len(before) == 0 {
		t.Fatal("the first day left no predictions")
	}
	if ready, err := g.client.Ready(t.Context()); err != nil || ready.Status != "ok" {
		t.Errorf("after the interruption the gateway is %+v (%v)", ready, err)
	}
	count, err := g.models[0].count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	report, err := simulate(t.Context(), cfg, SimulateOptions{Seed: 2, Add: true})
	if err != nil {
		t.Fatal(err)
	}
	g = start(t, cfg)
	after, err := g.models[0].count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := len(ledgerOf(t, g.App)); got != len(before)+report.Predictions || after.Customers != count.Customers+int64(report.Customers) {
		t.Errorf("%d predictions and %d customers; before %d and %d, added %+v", got, after.Customers, len(before), count.Customers, report)
	}
}
