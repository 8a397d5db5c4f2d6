package app

import (
	"os"
	"strings"
	"testing"

	"gateway/api"
	"gateway/internal/config"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
)

// TestGatewaysOfTwoSchemasShareADatabase rolls out a changed schema: a gateway of
// the new one starts beside one of the old one, gets a model of its own, and both
// predict, also after the old one has started again.
func TestGatewaysOfTwoSchemasShareADatabase(t *testing.T) {
	newConfig(t)
	file, schema := gatewaytest.SmallData(t)
	text, err := os.ReadFile(schema)
	if err != nil {
		t.Fatal(err)
	}
	const plan = "name: plan,"
	if !strings.Contains(string(text), plan) {
		t.Fatalf("the schema has no %q:\n%s", plan, text)
	}
	changed := gatewaytest.WriteFile(t, "changed.yaml", strings.Replace(string(text), plan, plan+" exclude: true,", 1))
	t.Setenv("GATEWAY_DEMO", "false")
	t.Setenv("GATEWAY_DB_SECRET_ID", "file:"+gatewaytest.DatabaseSecret(t))
	of := func(schema string) config.Config {
		t.Setenv("GATEWAY_SCHEMA", schema)
		return newConfig(t)
	}
	before := of(schema)
	request := api.PredictionRequest{Features: map[string]any{"visits": 3, "plan": "pro"}}
	predicts := func(g *gatewayUnderTest, model string) {
		t.Helper()
		p, err := g.client.Predict(t.Context(), request)
		if err != nil || p.Model != model {
			t.Errorf("it predicts with %q (%v), want %s", p.Model, err, model)
		}
	}
	old := start(t, before)
	old.importFile(t, file)
	first := old.renew(t, api.RetrainRequest{})
	if first.Status != modelswap.Succeeded {
		t.Fatalf("the renewal is %s: %s", first.Status, first.Error)
	}

	after := start(t, of(changed))
	if ready, err := after.client.Ready(t.Context()); err != nil || ready.Status != "unavailable" {
		t.Errorf("the gateway of the changed schema is %s (%v), want unavailable", ready.Status, err)
	}
	predicts(old, *first.Model)
	second := after.renew(t, api.RetrainRequest{})
	if second.Status != modelswap.Succeeded {
		t.Fatalf("the renewal of the changed schema is %s: %s", second.Status, second.Error)
	}
	after.ready(t)
	predicts(after, *second.Model)
	predicts(old, *first.Model)

	if err := old.stop(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GATEWAY_SCHEMA", schema)
	old = start(t, before)
	old.ready(t)
	predicts(old, *first.Model)
	third := old.renew(t, api.RetrainRequest{Force: true})
	if third.Status != modelswap.Succeeded {
		t.Errorf("the next renewal of the old schema is %s: %s", third.Status, third.Error)
	}
	predicts(after, *second.Model)
	if m, err := old.client.Rollback(t.Context(), ""); err != nil || m.Name != *first.Model {
		t.Errorf("rolled back to %+v (%v), want the first model of the schema", m, err)
	}
}
