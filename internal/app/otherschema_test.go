package app

import (
	"net/http"
	"strings"
	"testing"

	"gateway/internal/config"
	"gateway/internal/gatewaytest"
	"gateway/internal/schema"
)

func TestAModelOfAnotherSchemaDoesNotServe(t *testing.T) {
	cfg := newConfig(t)
	g := startPrepared(t, cfg, demonstrated)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GATEWAY_SCHEMA", gatewaytest.WriteFile(t, "schema.yaml", strings.Replace(string(schema.BankYAML()),
		"{name: duration, type: integer, min: 0,", "{name: duration, type: integer, min: 0, exclude: true,", 1)))
	t.Setenv("GATEWAY_DEMO", "false") // else a first model of the schema is trained at once
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	g = start(t, cfg)
	res, err := http.Get(g.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz is %d, want 503: the model was trained on other columns", res.StatusCode)
	}
	if !strings.Contains(g.logs.String(), "another schema") {
		t.Errorf("the log does not say why: %s", g.logs.String())
	}
}
