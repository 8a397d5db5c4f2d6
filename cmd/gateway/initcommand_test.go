package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
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
	if got := errs.String(); strings.Count(got, "Give a number from 1 to 2.\n") != 2 {
		t.Errorf("wrong answers: %s", got)
	}
	errs.Reset()
	three := initCommand{File: gatewaytest.WriteFile(t, "three.csv", "sex,age,churn\n"+strings.Repeat("f,30,yes\nm,31,no\nf,32,maybe\nm,30,yes\nf,31,maybe\nm,32,no\n", 40))}
	d, err = three.draft(&console{ctx: t.Context(), stderr: &errs, answers: bufio.NewReader(strings.NewReader("1\n1\n"))})
	if err != nil || d.Label.Column != "sex" || !strings.Contains(errs.String(), `column "churn" has the name of a label, but it has 3`) {
		t.Errorf("a label of three values: %v\n%s", err, errs.String())
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

// TestInitLeavesADataDirThatIsInUseAlone has a gateway serve from the data dir.
func TestInitLeavesADataDirThatIsInUseAlone(t *testing.T) {
	file := initData(t)
	cfg := newConfig(t)
	if code, _, errs := command(t, "init", file, "--label=gone"); code != exitOK {
		t.Fatalf("init ended with %d: %s", code, errs)
	}
	before, err := os.ReadFile(cfg.DataSchema())
	if err != nil {
		t.Fatal(err)
	}
	serve(t, cfg)
	code, _, errs := command(t, "init", file, "--label=gone", "--positive=good", "--yes")
	if code != exitFailed || !strings.Contains(errs, "is in use by another gateway") {
		t.Errorf("init ended with %d: %s", code, errs)
	}
	if after, err := os.ReadFile(cfg.DataSchema()); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the schema has changed: %v", err)
	}
	if left, _ := filepath.Glob(cfg.DataSchema() + ".*"); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

// TestInitDoesNotLearnFromAnotherFilesCustomers drafts another schema over a store that
// has customers.
func TestInitDoesNotLearnFromAnotherFilesCustomers(t *testing.T) {
	file := initData(t)
	t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
	if code, _, errs := command(t, "init", file, "--label=gone"); code != exitOK {
		t.Fatalf("init ended with %d: %s", code, errs)
	}
	other, _ := gatewaytest.SmallData(t)
	code, _, errs := command(t, "init", other, "--yes")
	if want := "the store has customers of another schema (600)"; code != exitFailed || !strings.Contains(errs, want) {
		t.Errorf("init ended with %d: %s", code, errs)
	}
	if code, out, errs := command(t, "init", file, "--label=gone"); code != exitOK || !strings.Contains(out, "0 new customers, 600 updated") {
		t.Errorf("the same file again ended with %d: %s%s", code, out, errs)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	gaps := filepath.Join(t.TempDir(), "my customers.csv")
	if err := os.WriteFile(gaps, bytes.Replace(text, []byte("c7,7,pro,"), []byte("c7,7,,"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := command(t, "init", gaps, "--label=plan", "--yes"); code != exitFailed || !strings.Contains(errs, `the store has labels of column "gone"`) {
		t.Errorf("another label with gaps ended with %d: %s", code, errs)
	}
	smaller := filepath.Join(t.TempDir(), "my customers.csv")
	if err := os.WriteFile(smaller, bytes.Join(bytes.SplitAfter(text, []byte("\n"))[:501], nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := command(t, "init", smaller, "--label=gone", "--yes"); code != exitOK || !strings.Contains(out, "the store has 600 customers; not in the file: 100\n") {
		t.Errorf("a file with fewer rows ended with %d: %s%s", code, out, errs)
	}
}

// TestInitTurnsTheLabel takes the other value as positive: the model of the first must
// not go on serving, also if the process is killed between schema and model.
func TestInitTurnsTheLabel(t *testing.T) {
	file, dir, crash := initData(t), t.TempDir(), t.TempDir()
	t.Setenv("GATEWAY_DATA_DIR", dir)
	if code, _, errs := command(t, "init", file, "--label=gone"); code != exitOK {
		t.Fatalf("init ended with %d: %s", code, errs)
	}
	score := func() float64 {
		t.Helper()
		code, out, errs := command(t, "predict", "--json", gatewaytest.WriteFile(t, "one.csv", "visits,plan\n1,free\n"))
		var row struct{ Score float64 }
		if err := json.Unmarshal([]byte(out), &row); code != exitOK || err != nil {
			t.Fatalf("predict ended with %d: %s%s", code, out, errs)
		}
		return row.Score
	}
	bad := score()
	if err := os.WriteFile(filepath.Join(crash, "at"), []byte("StartTraining before"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, output := process(t, []string{crashDirVariable + "=" + crash}, "init", file, "--label=gone", "--positive=good", "--yes")
	if err := cmd.Wait(); err == nil {
		t.Fatalf("the process was not killed: %s", output)
	}
	code, out, errs := command(t, "init", file, "--label=gone", "--positive=good")
	if code != exitOK {
		t.Errorf("init again ended with %d: %s%s", code, out, errs)
	}
	if good := score(); bad < 0.6 || good > 0.4 {
		t.Errorf("the probability of bad was %v, that of good is %v", bad, good)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "schema.yaml.*")); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

// TestRetrainGoesOnWithAnInterruptedRenewal kills the process of a renewal. Nothing else
// runs on the data dir, so the next command must end it before it begins its own.
func TestRetrainGoesOnWithAnInterruptedRenewal(t *testing.T) {
	file, crash := initData(t), t.TempDir()
	t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
	if err := os.WriteFile(filepath.Join(crash, "at"), []byte("StartTraining before"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, output := process(t, []string{crashDirVariable + "=" + crash}, "init", file, "--label=gone")
	if err := cmd.Wait(); err == nil {
		t.Fatalf("the process was not killed: %s", output)
	}
	if code, out, errs := command(t, "retrain", "--force"); code != exitOK || !strings.Contains(out, " is succeeded\n") {
		t.Errorf("retrain ended with %d: %s%s", code, out, errs)
	}
	if _, out, _ := command(t, "renewals"); strings.Count(out, "succeeded") != 2 {
		t.Errorf("the interrupted renewal has not ended:\n%s", out)
	}
}

// TestAnInterruptedCommandSaysSo cancels the context as a signal does.
func TestAnInterruptedCommandSaysSo(t *testing.T) {
	t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	if code := run(&console{ctx: ctx, stdout: &out, stderr: &errs}, []string{"init", initData(t), "--label=gone"}); code != exitFailed || !strings.HasPrefix(errs.String(), "gateway: interrupted") {
		t.Errorf("init ended with %d: %s", code, errs.String())
	}
}

// TestInitCodesManyValuesByTheLabel: the model that serves has the statistics of the
// values, and its reasons name the feature.
func TestInitCodesManyValuesByTheLabel(t *testing.T) {
	t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
	var data strings.Builder
	data.WriteString("customer_id,merchant,visits,churn\n")
	for i := range 3000 {
		merchant := i * 7919 % 601
		churn := "no"
		if merchant%3 == 0 && i%10 < 8 || i%10 == 9 {
			churn = "yes"
		}
		fmt.Fprintf(&data, "c%d,shop %d,%d,%s\n", i, merchant, i%40, churn)
	}
	file := gatewaytest.WriteFile(t, "shops.csv", data.String())
	if code, out, errs := command(t, "init", file); code != exitOK || !strings.Contains(out, "imported 3000 of 3000 rows") {
		t.Fatalf("init ended with %d: %s\n%s", code, errs, out)
	}
	rows := gatewaytest.WriteFile(t, "new.csv", "merchant,visits\nshop 3,20\nshop 4,20\nshop 99999,20\n")
	code, out, errs := command(t, "predict", rows)
	if code != exitOK {
		t.Fatalf("predict ended with %d: %s", code, errs)
	}
	var scores []float64
	for i, line := range strings.Split(strings.TrimSpace(out), "\n") {
		cells := strings.Split(line, ",")
		if i == 0 {
			if !strings.Contains(line, "score") {
				t.Fatalf("the header is %s", line)
			}
			continue
		}
		for _, cell := range cells {
			var score float64
			if n, _ := fmt.Sscanf(cell, "0.%f", new(float64)); n == 1 {
				fmt.Sscan(cell, &score)
				scores = append(scores, score)
				break
			}
		}
	}
	if len(scores) != 3 || !(scores[0] > 0.5 && scores[1] < 0.3 && scores[2] > scores[1] && scores[2] < scores[0]) {
		t.Errorf("scores %v of\n%s", scores, out)
	}
	if code, out, _ := command(t, "models"); code != exitOK || !strings.Contains(out, "shops-") {
		t.Errorf("models ended with %d: %s", code, out)
	}
}
