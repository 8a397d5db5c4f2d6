package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway/internal/gatewaytest"
)

// initData is a CSV of customers whose column gone says good or bad.
func initData(t *testing.T) string {
	t.Helper()
	var data strings.Builder
	data.WriteString("customer_id,visits,plan,gone\n")
	for i := range 600 {
		gone := "good"
		if i%40 < 8 || i%17 == 0 {
			gone = "bad"
		}
		fmt.Fprintf(&data, "c%d,%d,%s,%s\n", i, i%40, []string{"free", "pro"}[i%2], gone)
	}
	return gatewaytest.WriteFile(t, "my customers.csv", data.String())
}

func TestInitGoesFromAFileToAModel(t *testing.T) {
	file, dir := initData(t), t.TempDir()
	t.Setenv("GATEWAY_DATA_DIR", dir)

	code, _, errs := command(t, "init", file)
	if code != exitUsage || !strings.Contains(errs, "it is unclear which column is the label") || !strings.Contains(errs, "--label gone") {
		t.Fatalf("without a label init ended with %d: %s", code, errs)
	}
	for flag, want := range map[string]string{"--label=gones": `--label: there is no column "gones" in the header; did you mean "gone"?`, "--label=visits": "--label: column", "--id=plan": "--id: column"} {
		if code, _, errs := command(t, "init", file, "--label=gone", flag); code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%s: init ended with %d: %s", flag, code, errs)
		}
		if code, _, errs := command(t, "schema", "infer", file, "--label=gone", flag); code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%s: infer ended with %d: %s", flag, code, errs)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("a command with a wrong flag wrote %v: %v", entries, err)
	}
	code, out, errs := command(t, "init", file, "--label", "gone")
	if code != exitOK {
		t.Fatalf("init ended with %d: %s\n%s", code, errs, out)
	}
	for _, want := range []string{"predict '" + file + "'   score the file", "rows     600\n", "label    gone: named by --label\n", "positive bad, ", `it is the rarer value; a guess: use --positive good for the other`,
		"id       customer_id: its name is that of an id and no value repeats\n", "features 2\n", "imported 600 of 600 rows", " is succeeded\n", "model my-customers-", "Next:\n  GATEWAY_DATA_DIR=" + dir + " "} {
		if !strings.Contains(out, want) {
			t.Errorf("init does not say %q:\n%s", want, out)
		}
	}
	if code, out, _ := command(t, "models"); code != exitOK || !strings.Contains(out, "my-customers-") {
		t.Errorf("the data dir's schema is not used by other commands: %d, %s", code, out)
	}
	if code, _, errs := command(t, "init", file, "--label", "gone", "--positive", "good"); code != exitUsage || !strings.Contains(errs, "schema.yaml exists and is another schema") {
		t.Errorf("another draft ended with %d: %s", code, errs)
	}
	t.Setenv("GATEWAY_SCHEMA", filepath.Join(dir, "elsewhere.yaml"))
	if code, _, errs := command(t, "init", file, "--label", "gone"); code != exitUsage || !strings.Contains(errs, "GATEWAY_SCHEMA names") {
		t.Errorf("with another schema in the settings init ended with %d: %s", code, errs)
	}
}

// TestInitAsksOnATerminal answers the questions about the label and its values.
func TestInitAsksOnATerminal(t *testing.T) {
	file := initData(t)
	c := initCommand{File: file}
	var errs bytes.Buffer
	d, err := c.draft(&console{ctx: t.Context(), stderr: &errs, answers: bufio.NewReader(strings.NewReader("0\nx\n2\n2\n"))})
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	if d.Label.Column != "gone" || d.Label.Positive.Texts[0] != "good" {
		t.Errorf("got %+v\n%s", d.Label, errs.String())
	}
	unanswered := initCommand{File: file}
	if _, err := unanswered.draft(&console{ctx: t.Context(), stderr: &errs, answers: bufio.NewReader(strings.NewReader(""))}); err == nil {
		t.Error("no answer is taken for one")
	}
}

func TestImportStopsAtAnIDThatRepeats(t *testing.T) {
	file, schemaFile := gatewaytest.SmallData(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	twice := gatewaytest.WriteFile(t, "twice.csv", string(text)+"7,1,free,0\n")
	t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
	t.Setenv("GATEWAY_SCHEMA", schemaFile)
	code, _, errs := command(t, "import", twice)
	if want := "line 902: customer_id is the id of line 9 too"; code != exitFailed || !strings.Contains(errs, want) || !strings.Contains(errs, "--last-wins") {
		t.Errorf("import ended with %d: %s", code, errs)
	}
	if code, out, errs := command(t, "import", "--last-wins", twice); code != exitOK || !strings.Contains(out, "imported 901 of 901 rows") {
		t.Errorf("with --last-wins it ended with %d: %s%s", code, out, errs)
	}
}
