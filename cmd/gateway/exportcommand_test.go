package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gateway/api"
	"gateway/internal/gatewaytest"
)

// progressLine is what a command that takes long says in between.
var progressLine = regexp.MustCompile(`(?m)^\d+ \w+, \d+ a second\n`)

// TestExport takes customers, ledger and training data out of a gateway that
// serves and out of its data dir, and brings the customers to another one.
func TestExport(t *testing.T) {
	g := serveFilled(t, newConfig(t))
	if _, err := g.client.Predict(t.Context(), api.PredictionRequest{Features: gatewaytest.Sample()}); err != nil {
		t.Fatal(err)
	}
	g.drained(t)
	first := ""
	ask := func(where ...string) {
		t.Helper()
		said := ""
		export := func(args ...string) string {
			t.Helper()
			code, out, errs := command(t, append(append([]string{"export"}, args...), where...)...)
			errs = progressLine.ReplaceAllString(errs, "")
			said = errs
			if code != exitOK || (errs != "") != slices.Contains(args, "-o") {
				t.Fatalf("export %v ended with %d: %s", args, code, errs)
			}
			return out
		}
		customers := export("customers")
		if rows := gatewaytest.Lines(customers); len(rows) != demoSize+1 || !strings.HasPrefix(rows[0], "customer_id,age,") {
			t.Fatalf("%d rows below %s", len(rows)-1, rows[0])
		}
		if first != "" && customers != first {
			t.Error("the customers of the data dir differ from those that the gateway exported")
		}
		first = customers
		if rows := gatewaytest.Lines(export("customers", "--json")); len(rows) != demoSize || !strings.HasPrefix(rows[0], `{"customer_id":"`) {
			t.Errorf("%d lines as NDJSON: %s", len(rows), rows[0])
		}
		if rows := gatewaytest.Lines(export("ledger")); len(rows) != 1 || !strings.Contains(rows[0], `"job":"technician"`) {
			t.Errorf("ledger: %s", rows)
		}
		if out := export("ledger", "--to", "2020-01-01T00:00:00Z"); out != "" {
			t.Errorf("ledger before there was one: %s", out)
		}
		if rows := gatewaytest.Lines(export("ledger", "--format", "csv", "--from", "2020-01-01T00:00:00Z")); len(rows) != 2 {
			t.Errorf("ledger as CSV: %s", rows)
		}
		for name, want := range map[string]string{"ledger.csv": "prediction_id,customer_id,", "ledger.txt": `{"prediction_id":"`, "LEDGER.CSV": "prediction_id,", "ledger.jsonl": `{"prediction_id":"`} {
			file := filepath.Join(t.TempDir(), name)
			export("ledger", "-o", file)
			if text, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(text), want) {
				t.Errorf("%s begins with %.40s, want %s: %v", name, text, want, err)
			}
		}
		file := filepath.Join(t.TempDir(), "train.csv")
		export("training-data", "-o", file)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
		if err != nil || len(rows) < 1000 || rows[0][0] != "y" || len(rows[0]) != len(rows[1]) {
			t.Errorf("training data: %d rows, %v", len(rows), err)
		}
		if want := fmt.Sprintf("wrote %d lines to %s in ", len(rows), file); !strings.HasPrefix(said, want) {
			t.Errorf("export says %q, want %q", said, want)
		}
		if lines := gatewaytest.Lines(export("training-data", "--json")); len(lines) != len(rows)-1 || !strings.HasPrefix(lines[0], `{"y":`+rows[1][0]+`,"age":`+rows[1][1]+",") {
			t.Errorf("training data as NDJSON: %d lines, the first %s", len(lines), lines[0])
		}
	}
	ask("--url", g.url)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	ask()

	t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
	file := gatewaytest.WriteFile(t, "customers.csv", first)
	if code, out, errs := command(t, "import", file, "--strict"); code != exitOK || !strings.Contains(out, "imported 1500 of 1500 rows") || !strings.Contains(out, "1350 labelled, 0 bad") {
		t.Fatalf("import ended with %d: %s%s", code, out, errs)
	}
	if code, out, errs := command(t, "export", "customers"); code != exitOK || out != first {
		t.Errorf("what was imported is exported otherwise: %d, %s", code, errs)
	}
	code, out, errs := command(t, "export", "training-data")
	if code != exitFailed || out != "" || !strings.Contains(errs, "gateway retrain") {
		t.Errorf("export of no training data ended with %d: %s", code, errs)
	}
	missing := filepath.Join(t.TempDir(), "out.csv")
	if code, _, _ := command(t, "export", "training-data", "-o", missing); code != exitFailed {
		t.Errorf("export to a file ended with %d", code)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("a failed export left a file")
	}
	for args, text := range map[string]string{
		"everything": "must be one of", "customers --from 2020-01-01T00:00:00Z": "--from is for", "ledger --to yesterday": "--to: must be a time",
		"ledger --json --format csv": "--json and --format csv exclude each other",
	} {
		code, _, errs := command(t, append([]string{"export"}, strings.Fields(args)...)...)
		if code != exitUsage || len(gatewaytest.Lines(errs)) != 1 || !strings.Contains(errs, text) {
			t.Errorf("export %s ended with %d: %s", args, code, errs)
		}
	}
}
