package app

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"gateway/api"
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

// TestATurnedLabelWarns: the columns of a schema are the same when its label's classes
// are swapped by hand, so the model still serves.
func TestATurnedLabelWarns(t *testing.T) {
	g := startPrepared(t, newConfig(t), demonstrated)
	const says = "scores and stored labels are those of the other class"
	if strings.Contains(g.logs.String(), says) {
		t.Error("the log warns of a label that has not turned")
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	swap := strings.NewReplacer("positive:", "negative:", "negative:", "positive:")
	t.Setenv("GATEWAY_SCHEMA", gatewaytest.WriteFile(t, "schema.yaml", swap.Replace(string(schema.BankYAML()))))
	t.Setenv("GATEWAY_DEMO", "false")
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	g = start(t, cfg)
	if !strings.Contains(g.logs.String(), says) {
		t.Errorf("the log does not warn: %s", g.logs.String())
	}
	if list, _ := g.App.status(t.Context())["warnings"].([]string); len(list) != 1 || !strings.Contains(list[0], says) {
		t.Errorf("the status warns of %q", list)
	}
}

// TestARenamedSchemaBeginsALineOfItsOwn: a gateway of a schema of another name has
// the customers of the database, and no model, renewal or prediction. Those are
// there for the schema of the former name.
func TestARenamedSchemaBeginsALineOfItsOwn(t *testing.T) {
	cfg := newConfig(t)
	g := startPrepared(t, cfg, demonstrated)
	p, err := g.client.Predict(t.Context(), api.PredictionRequest{Features: gatewaytest.Sample()})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GATEWAY_DEMO", "false")
	former := os.Getenv("GATEWAY_SCHEMA")
	renamed := gatewaytest.WriteFile(t, "schema.yaml", strings.Replace(string(schema.BankYAML()), "name: bank\n", "name: bank_2\n", 1))
	for _, c := range []struct {
		schema, name string
		rows         int
		warns        bool
	}{{renamed, "bank_2", 0, true}, {former, "bank", 1, false}} {
		if err := g.stop(); err != nil {
			t.Fatal(err)
		}
		t.Setenv("GATEWAY_SCHEMA", c.schema)
		if cfg, err = config.Load(); err != nil {
			t.Fatal(err)
		}
		g = start(t, cfg)
		line := g.models[0].line
		predictions, err1 := line.PredictionsAfter(t.Context(), "", 10)
		renewals, err2 := g.client.Renewals(t.Context(), 10, "")
		models, err3 := g.client.Models(t.Context())
		count, err4 := g.models[0].count(t.Context())
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
		if line.Name() != c.name || len(predictions) != c.rows || len(renewals) != c.rows || len(models) != c.rows || count.Customers != int64(demoSize) {
			t.Errorf("line %s has %d predictions, %d renewals, %d models and %d customers, want %d of each and all customers",
				line.Name(), len(predictions), len(renewals), len(models), count.Customers, c.rows)
		}
		if c.rows == 1 && predictions[0].ID != p.PredictionID {
			t.Errorf("the ledger has prediction %s, want %s", predictions[0].ID, p.PredictionID)
		}
		if warned := strings.Contains(g.logs.String(), "schemas of other names"); warned != c.warns {
			t.Errorf("a warning: %v, want %v: %s", warned, c.warns, g.logs.String())
		}
	}
}
