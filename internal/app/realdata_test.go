//go:build long

package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway/api"
	"gateway/api/client"
	"gateway/internal/config"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
)

// TestRealData holds the models against the real data, on rows that they
// never saw: the hold-out of the renewal. Its tenth of the data is a small
// sample, whose AUC has a standard error of about 0.005 (0.012 without
// duration), so the bars leave room: this is a check against blunders.
func TestRealData(t *testing.T) {
	bank := bankFile(t)
	t.Setenv("GATEWAY_DEMO", "false")
	cfg := newConfig(t)
	importBank(t, cfg, bank)
	hold := func(bars map[string]float64) {
		t.Helper()
		cfg, err := config.Load()
		if err != nil {
			t.Fatal(err)
		}
		g := start(t, cfg)
		for algorithm, bar := range bars {
			r := g.renew(t, api.RetrainRequest{Overrides: modelswap.Overrides{Gate: "off",
				Training: modelswap.Training{Algorithm: algorithm}}})
			if r.Status != modelswap.Succeeded {
				t.Fatalf("the renewal is %s: %s", r.Status, r.Error)
			}
			t.Logf("%s: AUC %.4f on %d rows", algorithm, r.Metrics.Challenger.AUC, r.Metrics.Rows)
			if r.Metrics.Challenger.AUC < bar || r.Metrics.Rows < 3000 {
				t.Errorf("%s: AUC is %.4f on %d rows, want at least %.3f", algorithm, r.Metrics.Challenger.AUC, r.Metrics.Rows, bar)
			}
		}
		if err := g.stop(); err != nil {
			t.Fatal(err)
		}
	}
	hold(map[string]float64{"linear-learner": 0.924, "xgboost": 0.938, "auto": 0.938})
	t.Setenv("GATEWAY_SCHEMA", gatewaytest.WriteFile(t, "schema.yaml", strings.Replace(string(schema.BankYAML()),
		"{name: duration, type: integer, min: 0,", "{name: duration, type: integer, min: 0, exclude: true,", 1)))
	hold(map[string]float64{"xgboost": 0.780, "auto": 0.780})
}

// importBank imports the real data.
func importBank(t *testing.T, cfg config.Config, path string) {
	t.Helper()
	customers, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer customers.Close()
	g := start(t, cfg)
	report, err := g.client.Import(t.Context(), "text/csv", customers, client.ImportOptions{}, nil)
	if err != nil || report.Rows != 32845 || report.Imported != 32845 || report.Labelled != 32845 || report.Failed != 0 {
		t.Fatalf("imported %+v (%v)", report, err)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
}

// bankFile is the real data, where it is present.
func bankFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", "bank", "bank-additional.csv")
	if _, err := os.Stat(path); err != nil {
		t.Skip("the bank data is not beside the project; the generated customers serve the other tests")
	}
	return path
}
