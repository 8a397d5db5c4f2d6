package ask

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gateway/internal/schema"
)

// open makes the table of customers, given as the texts of their features and the label.
func open(t *testing.T, s *schema.Schema, question string, customers ...map[string]string) *Database {
	t.Helper()
	q, err := Parse(question, SQLite)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.Context(), NewTable(s), q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := d.Load(t.Context(), bytes.NewReader(trainingCSV(t, s, customers...)), func(int64) {}); err != nil {
		t.Fatal(err)
	}
	if d.Rows != int64(len(customers)) {
		t.Errorf("the table has %d rows, want %d", d.Rows, len(customers))
	}
	return d
}

// trainingCSV encodes customers as a conversion does.
func trainingCSV(t *testing.T, s *schema.Schema, customers ...map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := csv.NewWriter(&out).WriteAll([][]string{append([]string{s.Label.Name}, s.Columns()...)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range customers {
		r, label := s.NewRecord(), 0
		for name, value := range c {
			if s.IsLabel(name) {
				label, _ = s.Label.FromText(value)
			} else if v := s.SetText(r, s.Feature(name), value); v != nil {
				t.Fatal(v)
			}
		}
		if missing := s.Complete(r, ""); len(missing) > 0 {
			t.Fatal(missing)
		}
		out.Write(append(schema.AppendTrainingCSV(nil, label, s.Encode(r)), '\n'))
	}
	return out.Bytes()
}

func parseSchema(t *testing.T, text string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse("schema.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// answerOf asks a question of a new table.
func answerOf(t *testing.T, s *schema.Schema, question string, customers ...map[string]string) (*Result, error) {
	t.Helper()
	q, err := Parse(question, SQLite)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, s, question, customers...).Ask(t.Context(), q, 100)
}

const peopleYAML = `
name: people
id: id
label: {name: y, positive: [1], negative: [0]}
features:
  - {name: age, type: integer, missing: allow}
  - {name: best-rate.Eur, type: number}
  - {name: city, type: category, values: [Москва, "d'Or", "a;b", 'x "y"'], missing: allow}
  - {name: group, type: category, values: [x, z], encode: ordinal}
  - {name: since, type: date, missing: allow}
  - {name: secret, type: number, exclude: true}
`

// TestValuesAreThoseOfPeople reads values back from encoded rows.
func TestValuesAreThoseOfPeople(t *testing.T) {
	s := parseSchema(t, peopleYAML)
	const quote = "best-rate.Eur"
	customers := []map[string]string{
		{"age": "34", quote: "0.5", "city": "d'Or", "group": "z", "since": "2020-02-29", "y": "1"},
		{quote: "-1e-07", "group": "x", "y": "0"},
		{quote: "8", "city": "Москва", "group": "x", "y": "0"},
		{"age": "-7", quote: "3", "city": "a;b", "group": "x", "since": "1969-12-31", "y": "0"},
	}
	got, err := answerOf(t, s, "SELECT * FROM datasource WHERE city <> 'Москва' OR city IS NULL ORDER BY y DESC, age IS NOT NULL;", customers...)
	if err != nil {
		t.Fatal(err)
	}
	want := "[age best-rate.Eur city group since y]\n" +
		"[[34 0.5 d'Or z 2020-02-29 1] [<nil> -1e-07 <nil> x <nil> 0] [-7 3 a;b x 1969-12-31 0]]"
	if text := fmt.Sprintf("%v\n%v", got.Columns, got.Rows); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	for question, want := range map[string]string{
		`SELECT [best-rate.Eur], "Best-Rate.EUR" FROM datasource WHERE city = 'a;b'`: "[[3 3]]",
		"SELECT city FROM datasource WHERE city >= 'М'":                              "[[Москва]]",
		"SELECT count(*), count(age), typeof(y) FROM datasource -- the end":          "[[4 2 integer]]",
		"SELECT age FROM datasource WHERE \"group\" LIKE 'Z'":                        "[]",
		"/* ; */ VALUES (1, ';'), (2, NULL)":                                         "[[1 ;] [2 <nil>]]",
		"WITH a AS (SELECT age x FROM datasource) SELECT max(x) AS m FROM a":         "[[34]]",
		"SELECT corr(age, y), corr(y, 1) FROM datasource":                            "[[1 <nil>]]",
		"SELECT round(var_pop(y), 6), round(stddev(y), 6) FROM datasource":           "[[0.1875 0.5]]",
	} {
		got, err := answerOf(t, s, question, customers...)
		if err != nil || fmt.Sprint(got.Rows) != want {
			t.Errorf("%s: got %v (%v), want %s", question, got, err, want)
		}
	}
	if _, err := answerOf(t, s, "SELECT secret FROM datasource", customers...); err == nil || !strings.Contains(err.Error(), "no such column: secret") {
		t.Errorf("an excluded feature: %v", err)
	}
	if _, err := answerOf(t, s, `SELECT "nothing" FROM datasource`, customers...); err == nil {
		t.Error("a name in quotes that is no column is a text")
	}
}

// TestTheArticlesCorrelations asks the article's question of the bank data.
func TestTheArticlesCorrelations(t *testing.T) {
	t.Parallel()
	f, err := os.Open(filepath.FromSlash("../../../shared/data/bank/bank-additional.csv"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no ../../../shared/data/bank/bank-additional.csv")
	} else if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	reader := csv.NewReader(f)
	reader.Comma = ';'
	lines, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	s := schema.Bank()
	var customers []map[string]string
	for _, line := range lines[1:] {
		customer := map[string]string{}
		for i, cell := range line {
			if s.IsLabel(lines[0][i]) || s.Feature(lines[0][i]) >= 0 {
				customer[lines[0][i]] = cell
			}
		}
		customers = append(customers, customer)
	}
	got, err := answerOf(t, s, articleQuestion, customers...)
	if err != nil {
		t.Fatal(err)
	}
	if len(customers) != 32845 || len(got.Rows) != 1 || len(got.Rows[0]) != 4 {
		t.Fatalf("%v of %d customers", got, len(customers))
	}
	for i, want := range []float64{0.029866, 0.406779, -0.068215, -0.145001} {
		if r, ok := got.Rows[0][i].(float64); !ok || math.Abs(r-want) > 5e-7 {
			t.Errorf("%s is %v, want %v", got.Columns[i], got.Rows[0][i], want)
		}
	}
}

// articleQuestion is the question of the article over its table.
const articleQuestion = `SELECT corr(age,y) AS correlation_age_and_target,
 corr(duration,y) AS correlation_duration_and_target,
 corr(campaign,y) AS correlation_campaign_and_target,
 corr(contact,y) AS correlation_contact_and_target
FROM ( SELECT age , duration , campaign , y ,
 CASE WHEN contact = 'telephone' THEN 1 ELSE 0 END AS contact
 FROM datasource ) datasource;`

// TestQuestionsThatWriteAreRefused tries what would change the table, the files of this
// machine or the settings of the database.
func TestQuestionsThatWriteAreRefused(t *testing.T) {
	s := parseSchema(t, peopleYAML)
	file := filepath.Join(t.TempDir(), "file")
	refused := 0
	for _, text := range []string{
		"INSERT INTO datasource (y) VALUES (1)", "DELETE FROM datasource", "UPDATE datasource SET y = 1", "DROP TABLE datasource", "create table x (y)",
		"ATTACH '" + file + "' AS f", "PRAGMA query_only = 0", "VACUUM INTO '" + file + "'", "BEGIN", "EXPLAIN SELECT 1", "UNLOAD (SELECT 1) TO 's3://b/'",
		"SELECT 1; DELETE FROM datasource", "SELECT 1;;DELETE FROM datasource", "SELECT ';' ; SELECT 2", "SELECT 1 -- ;\n; DROP TABLE datasource", "SELECT 1 /* */ ; PRAGMA x",
		"SELECT `;` ; SELECT 2", "SELECT [a'b] ; SELECT ']'", "SELECT 1) ; DELETE FROM datasource --",
		"WITH a AS (SELECT 1) DELETE FROM datasource", "WITH a AS (SELECT 1) INSERT INTO datasource (y) SELECT 1", "WITH a AS (SELECT 1) UPDATE datasource SET y = 0",
		"SELECT load_extension('" + file + "')", "SELECT writefile('" + file + "', 'x')", "SELECT readfile('/etc/passwd')", "SELECT * FROM pragma_table_info('datasource')",
		"SELECT edit('x')", "SELECT fts3_tokenizer('x')", "SELECT gateway_row('x')", "SELECT gateway_row()", "SELECT gateway_row(99, 1)", "SELECT gateway_part(0, 1), gateway_row(0, 2)",
		"SELECT 1) SELECT gateway_row(0, 7", "SELECT 'open", "SELECT /* open", `SELECT "open`, "", " ; ", "-- nothing", "SELECT 1\x00; DROP TABLE datasource", "(SELECT 1)",
		"SELECT zeroblob(900000000)", "SELECT 1 AS a, 2 AS a WHERE", "REPLACE INTO datasource (y) VALUES (1)", "CREATE EXTERNAL TABLE other (a int)", "CREATE TABLE datasource AS SELECT 1",
	} {
		q, err := Parse(text, SQLite)
		if err == nil {
			d := open(t, s, "SELECT 1", map[string]string{"best-rate.Eur": "1", "group": "x", "y": "1"})
			var got *Result
			got, err = d.Ask(t.Context(), q, 10)
			if err == nil {
				t.Errorf("%s: is answered by %v", text, got.Rows)
			}
			if count, fault := d.Ask(t.Context(), &Question{SQL: "SELECT count(*), sum(y) FROM datasource"}, 10); fault != nil || fmt.Sprint(count.Rows) != "[[1 1]]" {
				t.Errorf("%s: the table is changed: %v, %v", text, count, fault)
			}
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error has several lines: %s", text, err)
		}
		if errors.Is(err, ErrReads) {
			refused++
		}
	}
	if refused < 18 {
		t.Errorf("%d statements are refused because they do not read", refused)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a question made a file")
	}
}

// TestTheAuthorizerIsEnough asks without Parse, whose tokens may differ from SQLite's.
func TestTheAuthorizerIsEnough(t *testing.T) {
	s := parseSchema(t, peopleYAML)
	file := filepath.Join(t.TempDir(), "file")
	d := open(t, s, "SELECT 1", map[string]string{"best-rate.Eur": "1", "group": "x", "y": "1"})
	for _, text := range []string{
		"DELETE FROM datasource", "SELECT 1; DELETE FROM datasource", "ATTACH '" + file + "' AS f", "PRAGMA trusted_schema = ON", "VACUUM INTO '" + file + "'",
		"CREATE TEMP TABLE x (y)", "SELECT 1) SELECT 2; DELETE FROM datasource; --", "REINDEX", "ANALYZE", "SAVEPOINT a", "DETACH main", "CREATE VIRTUAL TABLE x USING fts5(y)",
	} {
		_, _ = d.Ask(t.Context(), &Question{SQL: text}, 10)
		if got, err := d.Ask(t.Context(), &Question{SQL: "SELECT count(*), (SELECT count(*) FROM sqlite_master) FROM datasource"}, 10); err != nil || fmt.Sprint(got.Rows) != "[[1 1]]" {
			t.Fatalf("after %s: %v, %v", text, got, err)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a question made a file")
	}
}

// endless are questions that never end: before the first row, between rows, and with rows
// without end that are not shown.
var endless = []string{
	"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
	"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t WHERE n < 3",
	"WITH RECURSIVE t(n) AS (SELECT 1 UNION SELECT n + 1 FROM t) SELECT max(n) FROM t",
}

// TestAQuestionEndsWithItsContext ends questions that never end, by cancellation as soon
// as they may run and by a time limit while they run.
func TestAQuestionEndsWithItsContext(t *testing.T) {
	for _, question := range endless {
		d := open(t, parseSchema(t, peopleYAML), "SELECT 1")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := d.Ask(ctx, &Question{SQL: question}, 10)
			ended <- err
		}()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", question, err)
		}
		d = open(t, parseSchema(t, peopleYAML), "SELECT 1")
		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := d.Ask(ctx, &Question{SQL: question}, 10); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", question, err)
		}
		cancel()
	}
}

// TestALargeResultIsBounded asks for more rows and more bytes than the limits.
func TestALargeResultIsBounded(t *testing.T) {
	d := open(t, parseSchema(t, peopleYAML), "SELECT 1")
	got, err := d.Ask(t.Context(), &Question{SQL: strings.Replace(endless[1], " WHERE n < 3", "", 1)}, 5)
	if err != nil || !got.More || fmt.Sprint(got.Rows) != "[[1] [2] [3] [4] [5]]" {
		t.Errorf("got %v, %v", got, err)
	}
	got, err = d.Ask(t.Context(), &Question{SQL: "VALUES (1), (2)"}, 2)
	if err != nil || got.More || len(got.Rows) != 2 {
		t.Errorf("as many rows as the limit: %v, %v", got, err)
	}
	long := "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT printf('%.*c', 10000000, 'x') FROM t"
	if _, err = d.Ask(t.Context(), &Question{SQL: long}, 1_000_000); !errors.Is(err, errTooLarge) {
		t.Errorf("a result of long texts: %v", err)
	}
}

// TestWideTables asks of more columns than SQLite's tables have.
func TestWideTables(t *testing.T) {
	wide := func(features int) (*schema.Schema, map[string]string) {
		var b strings.Builder
		b.WriteString("name: wide\nid: id\nlabel: {name: y, positive: [1], negative: [0]}\nfeatures:\n")
		customer := map[string]string{"y": "1"}
		for i := range features {
			fmt.Fprintf(&b, "  - {name: f%d, type: integer}\n", i)
			customer[fmt.Sprintf("f%d", i)] = fmt.Sprint(i)
		}
		return parseSchema(t, b.String()), customer
	}
	s, customer := wide(maxTableColumns - 1)
	got, err := answerOf(t, s, "SELECT * FROM datasource", customer)
	if err != nil || len(got.Columns) != maxTableColumns {
		t.Fatalf("%d columns: %v", maxTableColumns, err)
	}
	for i, v := range got.Rows[0][:maxTableColumns-1] {
		if v != int64(i) || got.Columns[i] != fmt.Sprintf("f%d", i) {
			t.Fatalf("column %d is %s and has %v", i, got.Columns[i], v)
		}
	}
	s, customer = wide(maxTableColumns + 500)
	got, err = answerOf(t, s, `SELECT f2400, "F7", count(*), y FROM datasource`, customer)
	if err != nil || fmt.Sprint(got.Rows) != "[[2400 7 1 1]]" {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err = answerOf(t, s, "SELECT count(*) FROM datasource", customer); err != nil || fmt.Sprint(got.Rows) != "[[1]]" {
		t.Errorf("got %v, %v", got, err)
	}
	q, _ := Parse("SELECT d.* FROM datasource d", SQLite)
	if _, err := Open(t.Context(), NewTable(s), q); err == nil || !strings.Contains(err.Error(), "2501 columns") {
		t.Errorf("all columns of a table that is too wide: %v", err)
	}
}

// TestDataOfAnotherSchemaIsRefused loads what does not fit the table.
func TestDataOfAnotherSchemaIsRefused(t *testing.T) {
	s := parseSchema(t, peopleYAML)
	good := string(trainingCSV(t, s, map[string]string{"best-rate.Eur": "1", "group": "x", "y": "1"}))
	header, row, _ := strings.Cut(good, "\n")
	for text, want := range map[string]string{
		string(trainingCSV(t, schema.Bank())): "GATEWAY_SCHEMA",
		"":                                    "GATEWAY_SCHEMA",
		header + "\n" + row[1:]:               "row 1 of the training data: the label",
		good + "1,2\n":                        "row 2 of the training data: the row must have",
	} {
		q, _ := Parse("SELECT 1", SQLite)
		d, err := Open(t.Context(), NewTable(s), q)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Load(t.Context(), strings.NewReader(text), func(int64) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
