package outbox

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

func TestMetricsTellWhatBecameOfTheRows(t *testing.T) {
	reg := prometheus.NewRegistry()
	db := newDatabase()
	o, err := Open(t.TempDir(), db, Options{MaxBytes: MinBytes, Policy: Refuse}, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	db.refuse = func(p predict.Prediction) error {
		if p.ID == newPrediction(3).ID {
			return failure.Errorf(failure.Invalid, "a value cannot be stored")
		}
		return nil
	}
	for _, n := range []int{10, 20_000} { // the second call is larger than the bound
		_ = o.Append(t.Context(), newPredictions(0, n))
	}
	db.Fail(errDown)
	if _, err := o.store(t.Context(), maxBatch); err != nil {
		o.failed(t.Context(), err)
	}
	check := func(samples string) {
		t.Helper()
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			got[f.GetName()] = f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
		for line := range strings.Lines(samples) {
			name, want, _ := strings.Cut(strings.TrimSpace(line), " ")
			if value, known := got[name]; !known || fmt.Sprint(value) != want {
				t.Errorf("%s is %v (known: %v), want %s", name, value, known, want)
			}
		}
	}
	check(`gateway_outbox_rows 10
gateway_outbox_appended_total 10
gateway_outbox_refused_total 20000
gateway_outbox_drained_total 0
gateway_outbox_drain_failures_total 1
gateway_outbox_dropped_total 0
`)
	db.Fail(nil)
	if err := o.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(`gateway_outbox_rows 0
gateway_outbox_bytes 0
gateway_outbox_oldest_age_seconds 0
gateway_outbox_drained_total 9
gateway_outbox_set_aside_total 1
gateway_outbox_damaged_total 0
`)
	faults, err := testutil.GatherAndLint(reg)
	for _, fault := range faults {
		t.Errorf("%s: %s", fault.Metric, fault.Text)
	}
	if err != nil {
		t.Error(err)
	}
}
