package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway/internal/gatewaytest"
)

// TestImportRepeatsTheLabel says orientation and rate again, after the import and
// after the training.
func TestImportRepeatsTheLabel(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GATEWAY_DATA_DIR", dir)
	code, out, errs := command(t, "init", initData(t), "--label=gone")
	if want := "label gone: 'bad' is positive, 24.8 % of 600 rows\n"; code != exitOK || strings.Count(out, want) != 2 {
		t.Errorf("init ended with %d and does not say %q twice: %s%s", code, want, errs, out)
	}
	unlabelled := gatewaytest.WriteFile(t, "new.csv", "customer_id,visits,plan\nn1,3,free\n")
	if code, out, errs := command(t, "import", unlabelled); code != exitOK || !strings.Contains(out, "label gone: no row has one\n") {
		t.Errorf("import ended with %d: %s%s", code, errs, out)
	}
}

// TestImportSaysWhichSchemaIsInForce imports a file with the columns of another schema.
func TestImportSaysWhichSchemaIsInForce(t *testing.T) {
	file, schemaFile := gatewaytest.SmallData(t)
	dir := t.TempDir()
	t.Setenv("GATEWAY_DATA_DIR", dir)
	refused := func(name, want string, args ...string) {
		t.Helper()
		code, _, errs := command(t, append([]string{"import"}, args...)...)
		if code != exitFailed || !strings.Contains(errs, "the schema in force is "+want) {
			t.Errorf("%s: import ended with %d and does not say %q: %s", name, code, want, errs)
		}
	}
	refused("no schema", `"bank", the built-in one, since GATEWAY_SCHEMA is empty and there is no `+filepath.Join(dir, "schema.yaml"), file)
	compressed := gatewaytest.WriteFile(t, "x.csv.gz", "\x1f\x8b\x08\x00")
	if code, _, errs := command(t, "import", compressed); code != exitFailed || errs != "gateway: "+compressed+": the file is compressed by gzip; decompress it\n" {
		t.Errorf("a compressed file ended with %d: %s", code, errs)
	}
	ndjson := gatewaytest.WriteFile(t, "x.ndjson", `{"visits":1}`+"\n")
	refused("a file without a header", `"bank"`, ndjson)

	wrong := gatewaytest.WriteFile(t, "wrong.csv", "custmer_id,visit,plan,owner,churned\n1,2,free,x,0\n")
	t.Setenv("GATEWAY_SCHEMA", schemaFile)
	refused("by the setting", `"customers", of `+schemaFile+" (GATEWAY_SCHEMA)", wrong)
	_, _, errs := command(t, "import", wrong)
	for _, want := range []string{"line 1: the header row does not fit the schema", `custmer_id: is not a column of the schema; did you mean "customer_id"?`,
		`visit: is not a column of the schema; did you mean "visits"?`, "owner: is not a column of the schema\n", "visits: is required"} {
		if !strings.Contains(errs, want) {
			t.Errorf("import does not say %q: %s", want, errs)
		}
	}

	t.Setenv("GATEWAY_SCHEMA", "")
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	inDir := filepath.Join(dir, "schema.yaml")
	if err := os.WriteFile(inDir, text, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("of the data dir", `"customers", of `+inDir+", since GATEWAY_SCHEMA is empty", wrong)
	g := serve(t, newConfig(t))
	refused("of a gateway", `"bank", of the gateway at `+g.url, "--url="+g.url, file)
}

// TestImportOfASecondFileWithoutAnID adds, replaces or refuses customers.
func TestImportOfASecondFileWithoutAnID(t *testing.T) {
	_, schemaFile := gatewaytest.SmallData(t)
	t.Setenv("GATEWAY_SCHEMA", schemaFile)
	t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
	first := gatewaytest.WriteFile(t, "first.csv", "visits,plan,churned\n1,free,0\n2,pro,1\n")
	second := gatewaytest.WriteFile(t, "second.csv", "visits,plan,churned\n8,team,1\n9,team,1\n")
	for _, step := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{first}, exitOK, "2 new customers, 0 updated, 2 labelled, 0 bad rows\nlabel churned: 1 is positive, 50.0 % of 2 rows\n2 rows have no id and were numbered\n"},
		{[]string{first}, exitOK, "0 new customers, 2 updated"},
		{[]string{second}, exitFailed, "line 2: customer 1 exists with other values"},
		{[]string{second, "--numbering=continue"}, exitOK, "2 new customers, 0 updated"},
		{[]string{second, "--numbering=replace"}, exitOK, "0 new customers, 2 updated"},
		{[]string{second, "--numbering=x"}, exitUsage, "--numbering must be one of"},
	} {
		code, out, errs := command(t, append([]string{"import"}, step.args...)...)
		if code != step.code || !strings.Contains(out+errs, step.want) {
			t.Errorf("import %v ended with %d, want %d and %q: %s%s", step.args, code, step.code, step.want, out, errs)
		}
	}
	if _, out, _ := command(t, "export", "customers"); !strings.HasSuffix(out, "\n4,9,team,1\n") || len(gatewaytest.Lines(out)) != 5 {
		t.Errorf("the store has\n%s", out)
	}
}

// TestManyBadRowsAreCountedByReason shows the first bad rows, and counts all.
func TestManyBadRowsAreCountedByReason(t *testing.T) {
	_, schemaFile := gatewaytest.SmallData(t)
	t.Setenv("GATEWAY_SCHEMA", schemaFile)
	t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
	var text strings.Builder
	text.WriteString("customer_id,visits,plan,churned\n")
	for i := range 1500 {
		plan := []string{"free", "gold"}[min(i%1000, 1)]
		fmt.Fprintf(&text, "%d,%s,%s,0\n", i, []string{"x", "1"}[min(i%3, 1)], plan)
	}
	file := gatewaytest.WriteFile(t, "bad.csv", text.String())
	code, out, errs := command(t, "import", file)
	if code != exitOK || !strings.Contains(out, "imported 1 of 1500 rows") {
		t.Errorf("import ended with %d: %s", code, out)
	}
	for _, want := range []string{"\nline 3: plan must be one of free, pro, team, not \"gold\"\n", "\n… more bad rows follow\n", "\n1,499 bad rows, by field:\n",
		"\n  1,498 rows: plan, the first on line 3: must be one of free, pro, team, not \"gold\"\n", "\n  500 rows: visits, the first on line 2: must be an integer, not \"x\"\n"} {
		if !strings.Contains("\n"+errs, want) {
			t.Errorf("import does not say %q:\n%s", want, errs)
		}
	}
	if code, _, errs := command(t, "import", "--strict", file); code != exitFailed || !strings.Contains(errs, "line 2: visits must be an integer") {
		t.Errorf("a strict import ended with %d: %s", code, errs)
	}
	_, out, _ = command(t, "import", "--json", file)
	var report struct {
		Failed   int          `json:"failed"`
		Positive *int         `json:"positive"`
		Problems []rowProblem `json:"problems"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Failed != 1499 || report.Positive == nil || len(report.Problems) != maxProblems {
		t.Errorf("--json: %v, %s", err, out)
	}
}
