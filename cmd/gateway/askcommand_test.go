package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gateway/internal/gatewaytest"
	"gateway/internal/schema"
)

// The two statements of the article.
const (
	articleTable = "CREATE EXTERNAL TABLE IF NOT EXISTS default.datasource (\n" +
		"  `age` int, `job` string, `marital` string , `education` string, `default` string, `housing` string, `loan` string, `contact` string,\n" +
		"  `month` string, `day_of_week` string, `duration` int, `campaign` int, `pdays` int , `previous` int , `poutcome` string, `emp_var_rate` double,\n" +
		"  `cons_price_idx` double, `cons_conf_idx` double, `euribor3m` double, `nr_employed` double, `y` int\n)\n" +
		"ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe'\n" +
		"WITH SERDEPROPERTIES ('serialization.format' = ',', 'field.delim' = ',')\nLOCATION 's3://bucket/prefix/'\nTBLPROPERTIES ('has_encrypted_data'='false');"
	articleQuestion = "SELECT corr(age,y) AS correlation_age_and_target,\n corr(duration,y) AS correlation_duration_and_target,\n" +
		" corr(campaign,y) AS correlation_campaign_and_target,\n corr(contact,y) AS correlation_contact_and_target\n" +
		"FROM ( SELECT age , duration , campaign , y ,\n CASE WHEN contact = 'telephone' THEN 1 ELSE 0 END AS contact\n FROM datasource ) datasource;"
)

// TestAsk asks a gateway that serves, by its URL and by its data dir, and then the data dir
// alone.
func TestAsk(t *testing.T) {
	g := serveFilled(t, newConfig(t))
	answer := func(args ...string) (string, string) {
		t.Helper()
		code, out, errs := command(t, append([]string{"ask"}, args...)...)
		if code != exitOK {
			t.Fatalf("ask %v ended with %d: %s", args, code, errs)
		}
		return out, errs
	}
	counted := ""
	all := func(where ...string) {
		t.Helper()
		out, _ := answer(append(where, "--csv", "SELECT count(*) AS customers, sum(y) AS positive, count(DISTINCT job) AS jobs FROM datasource")...)
		if want := regexp.MustCompile(`^customers,positive,jobs\n1\d{3},\d{2,3},1[12]\n$`); !want.MatchString(out) || counted != "" && out != counted {
			t.Errorf("counts are %q, before %q", out, counted)
		}
		counted = out
		out, errs := answer(append(where, articleTable)...)
		if strings.Count(out, "\n") != 1 || errs != "" || !strings.Contains(out, "nothing was made: the table datasource exists already") || !strings.Contains(out, "has 21 columns (age, job,") ||
			!strings.Contains(out, "they are the statement's;") {
			t.Errorf("the article's table: %s%s", out, errs)
		}
		out, errs = answer(append(where, articleQuestion)...)
		if lines := gatewaytest.Lines(out); len(lines) != 2 || strings.Join(strings.Fields(lines[0]), " ") !=
			"correlation_age_and_target correlation_duration_and_target correlation_campaign_and_target correlation_contact_and_target" || errs != "rows: 1\n" {
			t.Errorf("the article's question: %s%s", out, errs)
		}
	}
	all("--url", g.url)
	all()

	out, errs := answer("--json", "--rows", "2", "SELECT age, job, NULL AS absent, 9e999 AS large FROM datasource")
	var result struct {
		Columns []string
		Rows    [][]any
		More    bool
	}
	if err := json.Unmarshal([]byte(out), &result); err != nil || fmt.Sprint(result.Columns) != "[age job absent large]" || len(result.Rows) != 2 || !result.More || result.Rows[0][3] != "+Inf" {
		t.Errorf("as JSON: %s%s: %v", out, errs, err)
	}
	if _, errs = answer("--rows", "2", "SELECT age FROM datasource"); errs != "there are more than these 2 rows: --rows prints more\n" {
		t.Errorf("cut off: %s", errs)
	}
	if out, _ = answer("--json", "SELECT age FROM datasource WHERE age > 1000"); out != "{\n  \"columns\": [\n    \"age\"\n  ],\n  \"rows\": []\n}\n" {
		t.Errorf("no rows: %q", out)
	}

	out, _ = answer()
	for _, want := range []string{"table datasource: 1", "data of model line bank, made 20", "age ", "integer", "job ", "the label: 0 or 1", "gateway ask '", "not here: the customers' ids"} {
		if !strings.Contains(out, want) {
			t.Errorf("the explanation lacks %q:\n%s", want, out)
		}
	}
	questions := regexp.MustCompile(`(?m)^  gateway ask '(.*)'$`).FindAllStringSubmatch(out, -1)
	if len(questions) != 3 {
		t.Fatalf("%d questions in:\n%s", len(questions), out)
	}
	for _, q := range questions {
		if out, _ := answer(q[1]); len(gatewaytest.Lines(out)) < 2 {
			t.Errorf("%s: %s", q[1], out)
		}
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	all()
	if out, _ := answer("--json"); !strings.Contains(out, `"table": "datasource"`) || !strings.Contains(out, `"held_out": `) {
		t.Errorf("the explanation for machines: %s", out)
	}
}

// TestAskRefuses has what gateway ask does not do, each with one line.
func TestAskRefuses(t *testing.T) {
	newConfig(t)
	for args, want := range map[string]string{
		"DROP TABLE datasource":                         "the statement must be one SELECT",
		"SELECT 1; DROP TABLE datasource":               "a semicolon between two",
		"CREATE EXTERNAL TABLE other (a int)":           "makes no tables",
		"PRAGMA table_info(datasource)":                 "not PRAGMA",
		"SELECT (1":                                     "parentheses",
		"--csv|--json|SELECT 1":                         "exclude each other",
		"--rows|0|SELECT 1":                             "--rows",
		"--timeout|0s|SELECT 1":                         "--timeout",
		"SELECT '" + strings.Repeat("x", 300_000) + "'": "longer than 256 KiB",
	} {
		code, out, errs := command(t, append([]string{"ask"}, strings.Split(args, "|")...)...)
		if code != exitUsage || out != "" || len(gatewaytest.Lines(errs)) != 1 || !strings.Contains(errs, want) {
			t.Errorf("ask %.60s ended with %d: %s%s", args, code, out, errs)
		}
	}
}

// TestAskWithoutTrainingData says what to do.
func TestAskWithoutTrainingData(t *testing.T) {
	cfg := newConfig(t)
	serve(t, cfg)
	for _, args := range [][]string{{"ask"}, {"ask", "SELECT 1"}} {
		code, out, errs := command(t, args...)
		if code != exitFailed || out != "" || !strings.Contains(errs, "gateway retrain") || !strings.Contains(errs, "gateway import") {
			t.Errorf("%v ended with %d: %s%s", args, code, out, errs)
		}
	}
}

// TestAskStopsAQuestion stops a question that never ends, and one that is wrong.
func TestAskStopsAQuestion(t *testing.T) {
	serveFilled(t, newConfig(t))
	endless := "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"
	for _, c := range []struct {
		code      int
		sql, want string
	}{
		{exitUsage, "WITH a AS (SELECT 1) DELETE FROM datasource", "gateway ask reads"},
		{exitFailed, endless, "stopped after 50ms (--timeout)"},
		{exitFailed, "SELECT wages FROM datasource", "no such column: wages"},
	} {
		code, out, errs := command(t, "ask", "--timeout", "50ms", c.sql)
		if code != c.code || out != "" || len(gatewaytest.Lines(errs)) != 1 || !strings.Contains(errs, c.want) {
			t.Errorf("%s ended with %d: %s%s", c.sql, code, out, errs)
		}
	}
}

// TestTheArticleOnTheBankData imports the bank data, makes training data of it, and asks
// the article's question.
func TestTheArticleOnTheBankData(t *testing.T) {
	file := filepath.FromSlash("../../../shared/data/bank/bank-additional.csv")
	if _, err := os.Stat(file); err != nil {
		t.Skip("no " + file)
	}
	if raceDetector {
		t.Skip("trains on 32,845 customers; internal/ask has the figures under the race detector")
	}
	newConfig(t)
	for _, args := range [][]string{{"import", file}, {"retrain"}} {
		if code, out, errs := command(t, args...); code != exitOK {
			t.Fatalf("%v ended with %d: %s%s", args, code, out, errs)
		}
	}
	code, out, errs := command(t, "ask", articleQuestion)
	lines := gatewaytest.Lines(out)
	if code != exitOK || len(lines) != 2 || strings.Join(strings.Fields(lines[1]), " ") != "0.029866 0.406779 -0.068215 -0.145001" {
		t.Errorf("ended with %d: %s%s", code, out, errs)
	}
	code, out, errs = command(t, "ask", "--csv", "SELECT count(*), "+"corr(age, y) FROM datasource")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if code != exitOK || err != nil || rows[1][0] != "32845" {
		t.Errorf("ended with %d: %s%s", code, out, errs)
	}
}

// TestTableCells shows numbers to people.
func TestTableCells(t *testing.T) {
	for want, v := range map[string]any{"-": nil, "0.5": 0.5, "0.029866": 0.02986604, "0": math.Copysign(0, -1), "4991.6": 4991.6, "1e-07": 1e-7, "1e+20": 1e20,
		"123456789.123457": 123456789.1234567, "34": int64(34), "a b": "a\n b", "true": true} {
		if got := tableCell(v); got != want {
			t.Errorf("%v is shown as %s, want %s", v, got, want)
		}
	}
	if s := schema.Bank(); s.Label.Name != "y" {
		t.Error("the bank's label has another name than in the article")
	}
}
