package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gateway/internal/config"
	"gateway/internal/failure"
	"gateway/internal/gatewaytest"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// TestTheDocumentHasTheSettings holds docs/configuration.md to the code.
func TestTheDocumentHasTheSettings(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, want, _ := command(t, "config", "--markdown")
	if string(page) != want {
		t.Error("docs/configuration.md is out of date: run make docs")
	}
	for _, s := range config.Settings() {
		if !strings.Contains(want, "| `"+s.Name+"` |") {
			t.Errorf("docs/configuration.md does not list %s", s.Name)
		}
	}
}

func TestConfigPrintsEverySetting(t *testing.T) {
	t.Setenv("GATEWAY_GATE", "nonsense") // printing the settings must work all the same
	code, out, _ := command(t, "config")
	for _, s := range config.Settings() {
		if !strings.Contains(out, s.Name) || !strings.Contains(out, s.Meaning) {
			t.Errorf("%s is not explained", s.Name)
		}
		if s.Meaning == "" {
			t.Errorf("%s has no meaning", s.Name)
		}
	}
	if code != exitOK {
		t.Errorf("config ended with %d", code)
	}
	code, out, _ = command(t, "config", "--json")
	var list []config.Setting
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != exitOK || len(list) != len(config.Settings()) {
		t.Errorf("config --json ended with %d and %d settings (%v)", code, len(list), err)
	}
}

func TestTheCommandLineExplainsItself(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"import", "--help"}, {"schema", "--help"}, {"convert", "--help"}} {
		if code, out, errs := command(t, args...); code != exitOK || !strings.Contains(out, "Usage: gateway") || errs != "" {
			t.Errorf("%v ended with %d: %q %q", args, code, out, errs)
		}
	}
	for _, args := range [][]string{{"nosuch"}, {"import"}, {"retrain", "--nosuch"}, {"convert", "a"}} {
		if code, out, errs := command(t, args...); code != exitUsage || out != "" || len(gatewaytest.Lines(errs)) != 1 {
			t.Errorf("%v ended with %d: %q %q, want 2 and one line", args, code, out, errs)
		}
	}
}

func TestSchemaCommands(t *testing.T) {
	newConfig(t)
	code, out, _ := command(t, "schema", "show")
	if code != exitOK || out != string(schema.BankYAML()) {
		t.Errorf("schema show ended with %d and %q", code, out)
	}
	code, out, _ = command(t, "schema", "show", "--json")
	if code != exitOK || !json.Valid([]byte(out)) || !strings.Contains(out, "2020-12") {
		t.Errorf("schema show --json ended with %d and %q", code, out)
	}
	code, out, _ = command(t, "schema", "check")
	if code != exitOK || !strings.Contains(out, schema.Bank().Fingerprint()) {
		t.Errorf("schema check ended with %d and %q", code, out)
	}
	bad := gatewaytest.WriteFile(t, "bad.yaml", "name: Bad Name\nfeatures: []\n")
	code, _, errs := command(t, "schema", "check", bad)
	if code != exitFailed || !strings.Contains(errs, "bad.yaml:1:") || len(gatewaytest.Lines(errs)) < 3 {
		t.Errorf("a bad schema ended with %d: %q, want every fault with its line", code, errs)
	}
}

// TestYourOwnDataInThreeCommands walks the README's way to a model of one's own.
func TestYourOwnDataInThreeCommands(t *testing.T) {
	var data strings.Builder
	data.WriteString("customer_id,visits,plan,last.seen,churned\n")
	for i := range 1200 {
		plan, churned := []string{"free", "pro", "team"}[i%3], "no"
		if i%3 == 0 && i%7 < 5 {
			churned = "yes"
		}
		data.WriteString(strings.Join([]string{"c" + string(rune('a'+i%26)) + strconv.Itoa(i), strconv.Itoa(i % 40), plan, strconv.Itoa(i%11) + ".5", churned}, ",") + "\n")
	}
	file := gatewaytest.WriteFile(t, "customers.csv", data.String())
	newConfig(t)
	code, out, errs := command(t, "schema", "infer", file, "--name", "churn")
	if code != exitOK {
		t.Fatalf("schema infer ended with %d: %s", code, errs)
	}
	t.Setenv("GATEWAY_SCHEMA", gatewaytest.WriteFile(t, "schema.yaml", out))
	if code, out, errs = command(t, "import", file); code != exitOK || !strings.Contains(out, "imported 1200 of 1200 rows") {
		t.Fatalf("import ended with %d: %s%s", code, out, errs)
	}
	code, out, errs = command(t, "retrain", "--watch")
	if code != exitOK || !strings.Contains(out, "verify    succeeded") || !strings.Contains(out, "is succeeded") {
		t.Fatalf("retrain ended with %d: %s%s", code, out, errs)
	}
	code, out, errs = command(t, "predict", file)
	if code != exitOK || len(gatewaytest.Lines(out)) != 1201 || !strings.Contains(errs, "scored 1200 of 1200 rows") {
		t.Errorf("predict ended with %d: %d lines, %s", code, len(gatewaytest.Lines(out)), errs)
	}
}

func TestImportReportsBadRowsByLine(t *testing.T) {
	newConfig(t)
	header := "customer_id,age,job,marital,education,default,housing,loan,contact,month,day_of_week,duration,campaign,pdays,previous,poutcome,emp_var_rate,cons_price_idx,cons_conf_idx,euribor3m,nr_employed,y\n"
	good := ",34,technician,married,high.school,no,yes,no,cellular,jun,wed,190,1,3,4,success,-1.7,94.055,-39.8,0.715,4991.6,"
	text := header + "1" + good + "yes\n" + "2" + strings.Replace(good, "cellular", "pigeon", 1) + "no\n" + "3" + good + "\n4,1\n"
	file := gatewaytest.WriteFile(t, "rows.csv", text)
	code, out, errs := command(t, "import", file)
	if code != exitOK || !strings.Contains(out, "imported 2 of 4 rows") || !strings.Contains(out, "1 labelled, 2 bad rows") {
		t.Errorf("import ended with %d: %q", code, out)
	}
	if !strings.Contains(errs, "line 3: contact") || !strings.Contains(errs, "line 5: row has 2 columns") {
		t.Errorf("the bad rows are told as %q", errs)
	}
	code, out, _ = command(t, "import", "--json", file)
	var report struct {
		Rows, Failed int
		Problems     []rowProblem
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitOK || report.Rows != 4 || report.Failed != 2 {
		t.Fatalf("import --json ended with %d (%v): %s", code, err, out)
	}
	for i, want := range []rowProblem{{3, "contact", "must be one of cellular, telephone"}, {5, "row", "has 2 columns"}} {
		if len(report.Problems) != 2 || report.Problems[i].Line != want.Line || report.Problems[i].Field != want.Field ||
			!strings.Contains(report.Problems[i].Detail, want.Detail) {
			t.Errorf("the problems are %+v, want %+v among them", report.Problems, want)
		}
	}
	code, out, errs = command(t, "import", "--strict", file)
	if code != exitFailed || !strings.Contains(errs, "line 3") {
		t.Errorf("a strict import ended with %d: %q %q", code, out, errs)
	}
	code, _, errs = command(t, "import", gatewaytest.WriteFile(t, "cols.csv", "age,nosuch\n1,2\n"))
	if code != exitFailed || !strings.Contains(errs, "nosuch") {
		t.Errorf("an unknown column ended with %d: %q", code, errs)
	}
	code, _, errs = command(t, "import", "/no/such/file")
	if code != exitFailed || !strings.Contains(errs, "/no/such/file") {
		t.Errorf("a missing file ended with %d: %q", code, errs)
	}
}

func TestProblemsOfAnImportAreBounded(t *testing.T) {
	var problems []rowProblem
	for i := range maxProblems {
		problems = appendProblems(problems, predict.BadRow{Line: i, Errors: make([]failure.Violation, 3)})
	}
	if len(problems) != maxProblems || problems[maxProblems-1].Line != (maxProblems-1)/3 {
		t.Errorf("%d problems, the last of line %d", len(problems), problems[len(problems)-1].Line)
	}
}

func TestConvertLeavesNothingHalfWritten(t *testing.T) {
	newConfig(t)
	src := gatewaytest.WriteFile(t, "items.json", `{"customer_id":{"s":"1"},"age":{"n":"34"}}`+"\n")
	dst := filepath.Join(t.TempDir(), "out.csv")
	code, out, errs := command(t, "convert", src, dst, "--json")
	var report struct {
		Items, Rows int64
		Skipped     map[string]int64
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitFailed || report.Items != 1 || report.Rows != 0 || len(report.Skipped) != 1 {
		t.Errorf("convert ended with %d: %s %s (%v), want 1 and one item, left out for a reason", code, out, errs, err)
	}
	if !strings.Contains(errs, "none of the 1 items gives a row: unlabelled 1; the first is items.json, line 1") {
		t.Errorf("convert does not say why there is no row: %s", errs)
	}
	if _, err := os.Stat(dst); !os.IsNotExist(err) {
		t.Error("a conversion without rows left a file")
	}
	scan := gatewaytest.WriteFile(t, "scan.json", "{\n    \"Items\": [\n        {\n            \"age\": {\"N\": \"34\"}\n        }\n    ]\n}\n")
	if code, _, errs := command(t, "convert", scan, dst); code != exitFailed || !strings.Contains(errs, "aws dynamodb scan") || !strings.Contains(errs, "jq -c") {
		t.Errorf("the output of a scan ended with %d: %s", code, errs)
	}
	bad := filepath.Join(t.TempDir(), "bad.csv")
	if code, _, errs := command(t, "convert", "/no/such/export", bad); code != exitFailed || !strings.Contains(errs, "no/such/export") {
		t.Errorf("a missing export ended with %d: %s", code, errs)
	}
	if _, err := os.Stat(bad); !os.IsNotExist(err) {
		t.Error("a failed conversion left a file")
	}
	unfinished := t.TempDir()
	for _, name := range []string{"1ccad63d-dde6-4ca1-a12a-e3f5694ae5f1", "_SUCCESS"} {
		if err := os.WriteFile(filepath.Join(unfinished, name), []byte(`{"customer_id":{"s":"1"},"age":{"n":"34"}}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, errs := command(t, "convert", unfinished, bad); code != exitFailed || !strings.Contains(errs, "is incomplete") {
		t.Errorf("a backup without its manifest ended with %d: %s", code, errs)
	}
	if code, _, errs := command(t, "convert", "s3://bucket/x", bad); code != exitUsage || len(gatewaytest.Lines(errs)) != 1 {
		t.Errorf("s3 ended with %d: %s", code, errs)
	}
}
