package modelswap_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
)

// otherSchema is smallSchema with another column.
func otherSchema(t *testing.T) *schema.Schema {
	t.Helper()
	schema, err := schema.Parse("other.yaml", []byte(smallSchema+"  - {name: z, type: number, default: 0}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// TestARenewalOfASchemaWithoutGatewaysEnds triggers a renewal on a gateway that
// stops for good, beside a gateway of another schema: that one leaves the renewal
// alone for a minute, then ends it, and can start one of its own.
func TestARenewalOfASchemaWithoutGatewaysEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		gone := modelswap.New(b.Ports(), modelswap.Options{Schema: otherSchema(t)}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		r, err := gone.Trigger(t.Context(), modelswap.TriggerRequest{})
		if err != nil {
			t.Fatal(err)
		}
		engine, stop := b.run(t, modelswap.Options{})
		defer stop()
		time.Sleep(modelswap.Stranded - time.Second)
		if got, err := engine.Renewal(t.Context(), r.ID); err != nil || got.Status != modelswap.Queued || b.Calls("StartExport") != 0 {
			t.Errorf("the renewal is %s (%v), want queued", got.Status, err)
		}
		if _, err := engine.Trigger(t.Context(), modelswap.TriggerRequest{}); !isKind(err, failure.Conflict) {
			t.Errorf("a second renewal gave %v, want a conflict", err)
		}
		time.Sleep(3 * time.Second)
		end := b.wait(t)
		if end.ID != r.ID || end.Status != modelswap.Failed || !strings.Contains(end.Error, "start a new renewal") || b.Calls("StartExport") != 0 {
			t.Errorf("it is %s (%s) after %d exports, want failed, untouched", end.Status, end.Error, b.Calls("StartExport"))
		}
		if _, err := engine.Resume(t.Context(), r.ID, modelswap.ResumeRequest{}); !isKind(err, failure.Conflict) {
			t.Errorf("resuming it gave %v, want a conflict", err)
		}
		if _, err := engine.Trigger(t.Context(), modelswap.TriggerRequest{}); err != nil {
			t.Fatal(err)
		}
		if end := b.wait(t); end.Status != modelswap.Succeeded {
			t.Errorf("the next renewal is %s: %s", end.Status, end.Error)
		}
	})
}

// TestTidyKeepsTheModelsOfEachSchema keeps as many good models of each schema.
func TestTidyKeepsTheModelsOfEachSchema(t *testing.T) {
	b := setup(t)
	at := func(hour int) *time.Time {
		t := time.Now().Add(-100 * time.Hour).Add(time.Duration(hour) * time.Hour)
		return &t
	}
	for i, name := range []string{"theirs-1", "theirs-2", "theirs-3"} {
		m := modelswap.Model{Name: name, Schema: "theirs", DeployedAt: at(i)}
		if err := b.InsertModel(t.Context(), m, modelswap.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{"mine-1", "mine-2", "mine-3"} {
		b.Serve(modelswap.Model{Name: name, Schema: b.Schema.Fingerprint(), DeployedAt: at(10 + i)})
	}
	engine, _ := b.run(t, modelswap.Options{KeepModels: 1})
	if _, err := engine.Trigger(t.Context(), modelswap.TriggerRequest{Force: true}); err != nil {
		t.Fatal(err)
	}
	b.wait(t)
	if _, err := engine.Trigger(t.Context(), modelswap.TriggerRequest{Force: true}); err != nil { // tidying comes after the end of the one before
		t.Fatal(err)
	}
	b.wait(t)
	// Tidying goes on after the end of the renewal.
	for patience := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		models, err := engine.Models(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wrong := ""
		for _, m := range models {
			if kept := m.Renewal != "" || m.Name == "theirs-3"; kept != (m.RemovedAt == nil) {
				wrong += fmt.Sprintf("model %s was removed at %v; want it kept: %v\n", m.Name, m.RemovedAt, kept)
			}
		}
		if wrong == "" {
			return
		}
		if time.Now().After(patience) {
			t.Fatal(wrong)
		}
	}
}
