package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gateway/api"
	"gateway/internal/config"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
)

// TestOperatorsCommands asks a gateway that serves, and then the data dir that it
// leaves, for its state, renewals and models, and goes back to an earlier model.
func TestOperatorsCommands(t *testing.T) {
	g := serveFilled(t, newConfig(t))
	if r := g.renew(t, api.RetrainRequest{Force: true}); r.Status != modelswap.Succeeded {
		t.Fatalf("the second renewal is %s: %s", r.Status, r.Error)
	}
	renewals, err := g.client.Renewals(t.Context(), 0, "")
	if err != nil || len(renewals) != 2 {
		t.Fatalf("%d renewals, %v", len(renewals), err)
	}
	newest, first := renewals[0], renewals[1]

	ask := func(where []string) {
		t.Helper()
		want := func(args []string, texts ...string) string {
			t.Helper()
			code, out, errs := command(t, append(args, where...)...)
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
		want([]string{"status"}, *newest.Model, " UTC", "dependency database  ok", "1500, 1350 labelled, 1500 generated", newest.ID+" succeeded at ")
		var page map[string]any
		if out := want([]string{"status", "--json"}); json.Unmarshal([]byte(out), &page) != nil || page["model"] != *newest.Model {
			t.Errorf("status --json: %s", out)
		}
		if out := want([]string{"renewals"}, newest.ID, first.ID, "succeeded", "manual"); len(gatewaytest.Lines(out)) != 3 {
			t.Errorf("renewals:\n%s", out)
		}
		if out := want([]string{"renewals", "--limit", "1"}, newest.ID); len(gatewaytest.Lines(out)) != 2 {
			t.Errorf("renewals --limit 1:\n%s", out)
		}
		want([]string{"renewals", first.ID}, "verify    succeeded", " UTC", "items: 1500")
		var list api.RenewalList
		if out := want([]string{"renewals", "--json"}); json.Unmarshal([]byte(out), &list) != nil || len(list.Renewals) != 2 {
			t.Errorf("renewals --json: %s", out)
		}
		want([]string{"models"}, *newest.Model, *first.Model, "serving", "kept")
		want([]string{"models", *newest.Model}, "model      "+*newest.Model+", serving since ", "label      y: 1, yes is positive, ", "threshold  0.5 (the schema sets none;",
			"held-out rows", "AUC  ", "less "+*first.Model+" on the same rows: AUC 0.0000", "Decisions at the threshold 0.5", "duration", "per 1 ", "Calibration", "no boosted trees")
		var report modelswap.ModelReport
		if out := want([]string{"models", *newest.Model, "--json"}); json.Unmarshal([]byte(out), &report) != nil || report.Name != *newest.Model ||
			!report.Serving || report.Figures.Rows == 0 || len(report.Figures.Importance) != 20 || len(report.Figures.Coefficients) != 65 {
			t.Errorf("models NAME --json: %s", out)
		}
		want([]string{"models", "compare", *first.Model, *newest.Model}, "A  "+*first.Model, "B  "+*newest.Model, "AUC ", "0.0000 to 0.0000", "the same", "each its own", "Importance", "duration")
		var comparison modelswap.ModelComparison
		if out := want([]string{"models", "compare", *first.Model, *newest.Model, "--json"}); json.Unmarshal([]byte(out), &comparison) != nil ||
			comparison.A.Name != *first.Model || len(comparison.Metrics) != 5 || len(comparison.Importance) != 20 {
			t.Errorf("models compare --json: %s", out)
		}
		want([]string{"rollback"}, "model "+*first.Model+" serves since ")
		want([]string{"rollback", *newest.Model}, "model "+*newest.Model+" serves since ")

		for args, text := range map[string]string{
			"rollback none": `no model "none"; gateway models`, "models none": `no model "none"; gateway models`,
			"models compare none " + *first.Model: `no model "none"`, "models compare " + *first.Model + " none": `no model "none"`, "renewals none": `no renewal "none"`, "rollback " + *newest.Model: "already serves",
		} {
			code, out, errs := command(t, append(strings.Fields(args), where...)...)
			if code != exitFailed || out != "" || len(gatewaytest.Lines(errs)) != 1 || !strings.Contains(errs, text) {
				t.Errorf("%s ended with %d: %q %q", args, code, out, errs)
			}
		}
	}
	ask([]string{"--url", g.url})
	code, _, errs := command(t, "models")
	if code != exitFailed || !strings.Contains(errs, "--url "+g.url) {
		t.Errorf("models beside the gateway that serves ended with %d: %s, want the flag that helps", code, errs)
	}
	code, _, errs = command(t, "status", "--url", g.url, "--token", "wrong")
	if code != exitFailed || len(gatewaytest.Lines(errs)) != 1 || !strings.Contains(errs, "--token") {
		t.Errorf("status with a wrong token ended with %d: %s", code, errs)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	ask(nil)
	code, _, errs = command(t, "status", "--url", g.url)
	if code != exitFailed || len(gatewaytest.Lines(errs)) != 1 || !strings.Contains(errs, "no gateway answers at --url: ") || !strings.Contains(errs, g.url) {
		t.Errorf("status of a gateway that is gone ended with %d: %s", code, errs)
	}
}

func TestOperatorsCommandsWithoutADataDir(t *testing.T) {
	newConfig(t)
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("GATEWAY_DATA_DIR", none)
	for _, name := range []string{"status", "renewals", "models", "models m", "models compare a b", "rollback"} {
		code, out, errs := command(t, strings.Fields(name)...)
		if code != exitFailed || out != "" || len(gatewaytest.Lines(errs)) != 1 || !strings.Contains(errs, "GATEWAY_DATA_DIR") || !strings.Contains(errs, "--url") {
			t.Errorf("%s ended with %d: %q %q", name, code, out, errs)
		}
	}
	for _, name := range []string{"import", "retrain", "predict", "status", "renewals", "models", "models show", "models compare", "rollback", "outcomes", "export"} {
		if code, out, _ := command(t, append(strings.Fields(name), "--help")...); code != exitOK || !strings.Contains(out, "Exit codes: 0 success") {
			t.Errorf("%s --help ended with %d: %s", name, code, out)
		}
	}
	if found, _ := filepath.Glob(none); len(found) > 0 {
		t.Error("the commands made a data dir")
	}
}

// TestStatusOfAGatewayWithoutAModel fails, and says how to get a model.
func TestStatusOfAGatewayWithoutAModel(t *testing.T) {
	newConfig(t) // its data dir is there, and empty
	code, out, errs := command(t, "status")
	if code != exitFailed || !strings.Contains(out, "gateway retrain") || !strings.Contains(errs, "cannot predict: model (no model serves yet; gateway retrain makes one)") {
		t.Errorf("status ended with %d: %s%s", code, out, errs)
	}
	code, _, errs = command(t, "rollback")
	if code != exitFailed || !strings.Contains(errs, "gateway retrain") {
		t.Errorf("rollback ended with %d: %s", code, errs)
	}
}

// TestOutcomesOfAFile sends outcomes by prediction and by customer, with rows that
// are wrong in each way between them.
func TestOutcomesOfAFile(t *testing.T) {
	cfg := newConfig(t)
	header := "customer_id,age,job,marital,education,default,housing,loan,contact,month,day_of_week,duration,campaign,pdays,previous,poutcome,emp_var_rate,cons_price_idx,cons_conf_idx,euribor3m,nr_employed,y\n"
	var customers strings.Builder
	customers.WriteString(header)
	for i := range 1100 {
		fmt.Fprintf(&customers, "c%d,34,technician,married,high.school,no,yes,no,cellular,jun,wed,190,1,3,4,success,-1.7,94.055,-39.8,0.715,4991.6,\n", i)
	}
	if code, _, errs := command(t, "import", gatewaytest.WriteFile(t, "customers.csv", customers.String())); code != exitOK {
		t.Fatal(errs)
	}
	var file strings.Builder
	file.WriteString("\ufeffcustomer_id;prediction_id;outcome;observed_at\n")
	for i := range 1100 { // more than two lists
		fmt.Fprintf(&file, "c%d;;%s;2026-11-23T10:00:00Z\n", i, []string{"1", "no"}[i%2])
	}
	file.WriteString("nobody;;1;2026-11-23T10:00:00Z\n" + // line 1102
		";none;1;2026-11-23T10:00:00Z\n" +
		"c1;;perhaps;2026-11-23T10:00:00Z\n" +
		"c1;;;2026-11-23T10:00:00Z\n" +
		"c1;;1;yesterday\n" +
		"c1;p1;1;\n" +
		";;1;\n" +
		"c1;\"\"x;1;\n" +
		"c1;1\n" + // line 1110
		"c2;;1;2026-11-23T10:00:00Z\n" + // known already
		"c3;;1;2026-11-22T10:00:00Z\n") // before that of line 5, which is no
	path := gatewaytest.WriteFile(t, "outcomes.csv", file.String())
	code, out, errs := command(t, "outcomes", path)
	if code != exitFailed || !strings.Contains(out, "1111 rows in ") || !strings.Contains(out, "1102 matched (1 recorded before, 1 superseded by later outcomes), 2 unknown, 7 bad rows") {
		t.Errorf("outcomes ended with %d: %s%s", code, out, errs)
	}
	for _, text := range []string{
		"line 1102: no customer has", "line 1103: no prediction has", "line 1104: outcome must be one of", "line 1105: the row has no outcome",
		"line 1106: the row has an observed_at", "line 1107: the row has both", "line 1108: the row has neither", "line 1109: the row is not CSV", "line 1110: the row has 2 columns",
		"9 of 1111 rows were not recorded",
	} {
		if !strings.Contains(errs, text) {
			t.Errorf("no %q in %s", text, errs)
		}
	}
	// Sent again, each counts once.
	code, out, _ = command(t, "outcomes", path, "--json")
	var report struct {
		outcomeReport
		Problems []rowProblem
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitFailed {
		t.Fatalf("outcomes --json ended with %d: %s", code, out)
	}
	if want := (outcomeReport{Rows: 1111, Matched: 1102, Duplicates: 1102, Superseded: 1, Unknown: 2, Failed: 7}); report.outcomeReport != want {
		t.Errorf("%+v, want %+v", report.outcomeReport, want)
	}
	for _, want := range []rowProblem{{1102, "row", "no customer has"}, {1104, "outcome", "must be one of"}, {1110, "row", "has 2 columns"}} {
		if !slices.ContainsFunc(report.Problems, func(p rowProblem) bool {
			return p.Line == want.Line && p.Field == want.Field && strings.HasPrefix(p.Detail, want.Detail)
		}) {
			t.Errorf("no %+v among the problems %+v", want, report.Problems)
		}
	}
	if len(report.Problems) != 9 {
		t.Errorf("%d problems, want one a row", len(report.Problems))
	}
	g := serve(t, withoutDemo(cfg))
	good := gatewaytest.WriteFile(t, "good.csv", "customer_id,outcome\nc1,yes\n")
	if code, out, errs := command(t, "outcomes", good, "--url", g.url); code != exitOK || !strings.Contains(out, "1 matched") {
		t.Errorf("outcomes --url ended with %d: %s%s", code, out, errs)
	}
	for name, test := range map[string]struct{ text, want string }{
		"empty": {"", "is empty"}, "unknown column": {"customer_id,y\n", `unknown column "y"`}, "no id": {"outcome\n", "neither a column"},
		"no outcome": {"customer_id\n", "no column outcome"}, "twice": {"outcome,outcome\n", "twice"}, "no rows": {"customer_id,outcome\n", "no rows"},
	} {
		code, _, errs := command(t, "outcomes", gatewaytest.WriteFile(t, "bad.csv", test.text), "--url", g.url)
		if code != exitFailed || len(gatewaytest.Lines(errs)) != 1 || !strings.Contains(errs, test.want) {
			t.Errorf("%s ended with %d: %s", name, code, errs)
		}
	}
}

func withoutDemo(cfg config.Config) config.Config {
	cfg.Demo = false
	return cfg
}
