package athena

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"gateway/internal/ask"
	"gateway/internal/aws"
	"gateway/internal/sandbox"
	"gateway/internal/schema"
)

// questioned is training data in the sandbox's bucket, in a folder with other files.
type questioned struct {
	t      *testing.T
	runner *Runner
	asker  *aws.Asker
	schema *schema.Schema
	rows   []string // of training CSV
}

func openQuestioned(t *testing.T, s *schema.Schema, rows []string) *questioned {
	t.Helper()
	q := &questioned{t: t, runner: NewRunner(), schema: s, rows: rows}
	server := sandbox.Start(t, sandbox.Options{Buckets: []string{"bank"}, Pace: sandbox.RealPace().Faster(10_000), Queries: q.runner})
	cfg := server.Config()
	cfg.Retryer = func() sdk.Retryer { return hurried{retry.NewStandard()} }
	api, err := aws.NewClients(cfg)
	if err != nil {
		t.Fatal(err)
	}
	files, err := aws.NewFiles(api, "bank", "gateway", "", s.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	train := len(rows) * 9 / 10
	for name, part := range map[string][]string{"train/a.csv": rows[:train/2], "train/b.csv": rows[train/2 : train], "holdout.csv": rows[train:], "other.csv": {"1,2,3", "not a row"}} {
		err := files.WriteFile(t.Context(), "renewals/r1/"+name, func(w io.Writer) error {
			_, err := io.WriteString(w, strings.Join(part, "\n")+"\n")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	q.asker = aws.NewAsker(aws.NewAthena(api, aws.AthenaSettings{Database: "bank", Output: "s3://bank/results/"}), files)
	return q
}

// inAthena asks in Athena.
func (q *questioned) inAthena(ctx context.Context, text string, limit int) (*ask.Result, error) {
	q.t.Helper()
	question, err := ask.Parse(text, ask.Athena)
	if err != nil {
		q.t.Fatal(err)
	}
	table, rows := ask.NewTable(q.schema), ask.NewCollector(limit)
	columns, err := q.asker.Ask(ctx, []string{"renewals/r1/train", "renewals/r1/holdout.csv"}, func(name string, files []string) string {
		return table.AthenaSQL(question, name, files)
	}, rows.Add)
	if tables := q.runner.Tables(); len(tables) > 0 {
		q.t.Errorf("%s: the tables %q are left", text, tables)
	}
	if ask.Full(err) {
		err = nil
	}
	return rows.Result(columns), err
}

// inSQLite asks in SQLite.
func (q *questioned) inSQLite(text string) *ask.Result {
	q.t.Helper()
	question, err := ask.Parse(text, ask.SQLite)
	if err != nil {
		q.t.Fatal(err)
	}
	d, err := ask.Open(q.t.Context(), ask.NewTable(q.schema), question)
	if err != nil {
		q.t.Fatal(err)
	}
	defer d.Close()
	var data bytes.Buffer
	if err := csv.NewWriter(&data).WriteAll([][]string{append([]string{q.schema.Label.Name}, q.schema.Columns()...)}); err != nil {
		q.t.Fatal(err)
	}
	data.WriteString(strings.Join(q.rows, "\n") + "\n")
	if err := d.Load(q.t.Context(), &data, func(int64) {}); err != nil {
		q.t.Fatal(err)
	}
	result, err := d.Ask(q.t.Context(), question, 1000)
	if err != nil {
		q.t.Fatalf("%s: %v", text, err)
	}
	return result
}

// encoded encodes customers, given as CSV with a header.
func encoded(t *testing.T, s *schema.Schema, lines [][]string) (rows []string) {
	t.Helper()
	for _, line := range lines[1:] {
		r, label := s.NewRecord(), 0
		for i, cell := range line {
			if name := lines[0][i]; s.IsLabel(name) {
				label, _ = s.Label.FromText(cell)
			} else if f := s.Feature(name); f >= 0 && cell != "" {
				if v := s.SetText(r, f, cell); v != nil {
					t.Fatal(v)
				}
			}
		}
		if missing := s.Complete(r, ""); len(missing) > 0 {
			t.Fatal(missing)
		}
		rows = append(rows, string(schema.AppendTrainingCSV(nil, label, s.Encode(r))))
	}
	return rows
}

// TestAQuestionHasTheSameAnswerInBothEngines has every type, encoding and missing value.
func TestAQuestionHasTheSameAnswerInBothEngines(t *testing.T) {
	s := parse(t, `
name: people
id: id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: age, type: integer, missing: allow}
  - {name: best-rate.Eur, type: number}
  - {name: city, type: category, values: [Москва, "d'Or", "a;b", 'x "y"'], missing: allow}
  - {name: group, type: category, values: [x, z], encode: ordinal, missing: allow}
  - {name: since, type: date, missing: allow, fill: 2020-01-01}
  - {name: secret, type: number, exclude: true}
`)
	q := openQuestioned(t, s, encoded(t, s, [][]string{
		{"age", "best-rate.Eur", "city", "group", "since", "y"},
		{"34", "0.5", "d'Or", "z", "2020-02-29", "1"}, {"", "-1e-07", "", "x", "", "0"}, {"-7", "3", "a;b", "", "1969-12-31", "0"},
		{"0", "8", "Москва", "x", "2026-11-23", "0"}, {"50", "1e50", `x "y"`, "z", "1800-03-01", "1"},
	}))
	questions := append(ask.NewTable(s).Suggestions(),
		`SELECT * FROM datasource ORDER BY "best-rate.Eur"`, `SELECT age, since FROM datasource WHERE city = 'd''Or' OR "group" = 'x' ORDER BY age NULLS LAST -- the end`,
		"WITH a AS (SELECT age AS x FROM datasource) SELECT max(x) AS m, count(*) AS n, count(x) AS known FROM a;", "/* with */ SELECT count(DISTINCT city) AS cities FROM datasource",
		"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 4) SELECT n, (SELECT count(*) FROM datasource) AS customers FROM t ORDER BY n",
		"SELECT corr(age, y) AS r, corr(y, 1) AS none, stddev(age) AS s, var_pop(age) AS v, variance(y) AS w, stddev_pop(age) AS p FROM datasource WHERE age IS NOT NULL",
	)
	for _, text := range questions {
		got, err := q.inAthena(t.Context(), text, 1000)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		want := q.inSQLite(text)
		if fmt.Sprint(got.Columns) != fmt.Sprint(want.Columns) || len(got.Rows) != len(want.Rows) || len(got.Rows) == 0 {
			t.Errorf("%s: Athena has %v, SQLite %v", text, got, want)
			continue
		}
		if !strings.Contains(text, "NULLS LAST") && !strings.Contains(text, "ORDER BY n") { // rows of the same place may come in any order
			byText := func(a, b []any) int { return strings.Compare(fmt.Sprintf("%.5v", a), fmt.Sprintf("%.5v", b)) }
			slices.SortFunc(got.Rows, byText)
			slices.SortFunc(want.Rows, byText)
		}
		for i := range got.Rows {
			for j := range got.Rows[i] {
				if !same(got.Rows[i][j], want.Rows[i][j]) {
					t.Errorf("%s: row %d: Athena has %#v, SQLite %#v in column %s", text, i, got.Rows[i][j], want.Rows[i][j], got.Columns[j])
				}
			}
		}
	}
	if got, err := q.inAthena(t.Context(), "SELECT age FROM datasource", 2); err != nil || len(got.Rows) != 2 || !got.More {
		t.Errorf("more rows than the limit: %v, %v", got, err)
	}
	if _, err := q.inAthena(t.Context(), "SELECT secret FROM datasource", 2); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("an excluded feature: %v", err)
	}
}

// same compares values. DuckDB has NaN where Athena and SQLite have NULL for the
// correlation with a constant.
func same(a, b any) bool {
	x, okX := a.(float64)
	y, okY := b.(float64)
	switch {
	case okX && math.IsNaN(x):
		return b == nil
	case okX && okY:
		return math.Abs(x-y) <= 1e-12*max(math.Abs(x), math.Abs(y))
	}
	return a == b
}

// TestTheArticlesQuestionInAthena asks the article's question of the encoded bank data.
func TestTheArticlesQuestionInAthena(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash("../../../shared/data/bank/bank-additional.csv"))
	if err != nil {
		t.Skip("no shared/data/bank beside the repository")
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma = ';'
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	s := schema.Bank()
	q := openQuestioned(t, s, encoded(t, s, lines))
	got, err := q.inAthena(t.Context(), `SELECT corr(age,y) AS correlation_age_and_target,
 corr(duration,y) AS correlation_duration_and_target,
 corr(campaign,y) AS correlation_campaign_and_target,
 corr(contact,y) AS correlation_contact_and_target
FROM ( SELECT age , duration , campaign , y ,
 CASE WHEN contact = 'telephone' THEN 1 ELSE 0 END AS contact
 FROM datasource ) datasource;`, 10)
	if err != nil || len(got.Rows) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	for i, want := range []float64{0.029866, 0.406779, -0.068215, -0.145001} {
		if x, ok := got.Rows[0][i].(float64); !ok || math.Abs(x-want) > 5e-7 {
			t.Errorf("%s is %v, want %v", got.Columns[i], got.Rows[0][i], want)
		}
	}
	if got, err := q.inAthena(t.Context(), "SELECT count(*) AS n FROM datasource", 10); err != nil || fmt.Sprint(got.Rows) != "[[32845]]" {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestACancelledQuestionLeavesNoTable ends the context of questions.
func TestACancelledQuestionLeavesNoTable(t *testing.T) {
	s := parse(t, smallSchema)
	q := openQuestioned(t, s, encoded(t, s, [][]string{{"x", "month", "y"}, {"1", "may", "1"}, {"2", "jun", "0"}}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.inAthena(ctx, "SELECT x FROM datasource", 10); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
