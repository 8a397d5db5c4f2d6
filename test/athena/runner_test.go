package athena

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"gateway/internal/sandbox"
)

// account is a sandbox whose queries run.
type account struct {
	*sandbox.Server
	t      *testing.T
	runner *Runner
	s3     *s3.Client
	athena *athena.Client
	tokens int
}

func openAccount(t *testing.T) *account {
	t.Helper()
	runner := NewRunner()
	s := sandbox.Start(t, sandbox.Options{Buckets: []string{"bank"}, Clock: sandbox.NewManualClock(), Queries: runner})
	return &account{s, t, runner, s3.NewFromConfig(s.Config()), athena.NewFromConfig(s.Config()), 0}
}

// query runs a statement and returns its id, its state and the reason.
func (a *account) query(sql string) (id string, state types.QueryExecutionState, reason string) {
	a.t.Helper()
	a.tokens++
	started, err := a.athena.StartQueryExecution(a.t.Context(), &athena.StartQueryExecutionInput{QueryString: &sql, ClientRequestToken: aws.String(fmt.Sprintf("%032d", a.tokens)),
		ResultConfiguration: &types.ResultConfiguration{OutputLocation: aws.String("s3://bank/results")}})
	if err != nil {
		a.t.Fatal(err)
	}
	a.Advance(time.Minute)
	out, err := a.athena.GetQueryExecution(a.t.Context(), &athena.GetQueryExecutionInput{QueryExecutionId: started.QueryExecutionId})
	if err != nil {
		a.t.Fatal(err)
	}
	return *started.QueryExecutionId, out.QueryExecution.Status.State, aws.ToString(out.QueryExecution.Status.StateChangeReason)
}

// rows runs a statement that must succeed and returns its cells, the header first.
func (a *account) rows(sql string) (rows [][]string) {
	a.t.Helper()
	id, state, reason := a.query(sql)
	if state != types.QueryExecutionStateSucceeded {
		a.t.Fatalf("%s: %s: %s", sql, state, reason)
	}
	out, err := a.athena.GetQueryResults(a.t.Context(), &athena.GetQueryResultsInput{QueryExecutionId: &id})
	if err != nil {
		a.t.Fatal(err)
	}
	for _, r := range out.ResultSet.Rows {
		var row []string
		for _, cell := range r.Data {
			row = append(row, aws.ToString(cell.VarCharValue))
		}
		rows = append(rows, row)
	}
	return rows
}

func (a *account) put(key string, body io.Reader) {
	a.t.Helper()
	if _, err := a.s3.PutObject(a.t.Context(), &s3.PutObjectInput{Bucket: aws.String("bank"), Key: &key, Body: body}); err != nil {
		a.t.Fatal(err)
	}
}

// objects returns the objects below a prefix.
func (a *account) objects(prefix string) map[string]string {
	a.t.Helper()
	found := map[string]string{}
	pages := s3.NewListObjectsV2Paginator(a.s3, &s3.ListObjectsV2Input{Bucket: aws.String("bank"), Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(a.t.Context())
		if err != nil {
			a.t.Fatal(err)
		}
		for _, o := range page.Contents {
			out, err := a.s3.GetObject(a.t.Context(), &s3.GetObjectInput{Bucket: aws.String("bank"), Key: o.Key})
			if err != nil {
				a.t.Fatal(err)
			}
			text, err := io.ReadAll(out.Body)
			if err != nil {
				a.t.Fatal(err)
			}
			_ = out.Body.Close()
			found[*o.Key] = string(text)
		}
	}
	return found
}

// TestTheArticlesQueryRuns asks for four correlations of the bank data, as the article does,
// of an external table over its CSV.
func TestTheArticlesQueryRuns(t *testing.T) {
	file, err := os.Open(filepath.FromSlash("../../../shared/data/bank/bank-additional.csv"))
	if err != nil {
		t.Skip("no shared/data/bank beside the repository; TestUnloadWritesFilesToAnEmptyFolder needs none")
	}
	defer file.Close()
	r := csv.NewReader(file)
	r.Comma = ';'
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]string{"age": "int", "duration": "int", "campaign": "int"}
	var text, columns strings.Builder
	for n, cells := range lines {
		if n > 0 {
			text.WriteString(strings.Join(cells, ",") + "\n")
			continue
		}
		for i, name := range cells {
			kind := numbers[name]
			if kind == "" {
				kind = "string"
			}
			if i > 0 {
				columns.WriteString(", ")
			}
			fmt.Fprintf(&columns, "`%s` %s", strings.ReplaceAll(name, ".", "_"), kind)
		}
	}
	a := openAccount(t)
	a.put("data/bank.csv", strings.NewReader(text.String()))
	a.rows("CREATE EXTERNAL TABLE IF NOT EXISTS default.`datasource`(" + columns.String() + ")\nROW FORMAT DELIMITED\nFIELDS TERMINATED BY ','\nLINES TERMINATED BY '\\n'\nLOCATION 's3://bank/data/'")
	got := a.rows("SELECT corr(age, label), corr(duration, label), corr(campaign, label), corr(contact, label) FROM (\n" +
		"SELECT age, duration, campaign, CASE contact WHEN 'telephone' THEN 1 ELSE 0 END AS contact, CASE y WHEN 'yes' THEN 1 ELSE 0 END AS label FROM datasource)")
	for i, want := range []string{"0.029866", "0.406779", "-0.068215", "-0.145001"} {
		if len(got) != 2 || !strings.HasPrefix(roundSix(got[1][i]), want) {
			t.Errorf("the correlations are %v, want %s at place %d", got, want, i)
		}
	}
}

// roundSix rounds a number to six digits behind the point.
func roundSix(text string) string {
	var x float64
	_, _ = fmt.Sscan(text, &x)
	return fmt.Sprintf("%.6f", x)
}

func TestUnloadWritesFilesToAnEmptyFolder(t *testing.T) {
	a := openAccount(t)
	a.put("data/1", strings.NewReader("a;1\nb;2.5\nc;x\n"))
	a.put("data/_ignored", strings.NewReader("d;9\n"))
	a.rows("CREATE EXTERNAL TABLE t (name string, n double) ROW FORMAT DELIMITED FIELDS TERMINATED BY ';' LOCATION 's3://bank/data/'")
	const unload = "UNLOAD (SELECT name, n, CASE WHEN n < 2 THEN 'low' ELSE 'other' END AS part FROM t) TO 's3://bank/out/' WITH (format = 'TEXTFILE', field_delimiter = ',', compression = 'NONE', partitioned_by = ARRAY['part'])"
	id, state, reason := a.query(unload)
	if state != types.QueryExecutionStateSucceeded {
		t.Fatal(reason)
	}
	parts := map[string]string{}
	for name, text := range a.objects("out/") {
		parts[strings.Split(name, "/")[1]] += text
	}
	if parts["part=low"] != "a,1.0\n" || !strings.Contains(parts["part=other"], "b,2.5\n") || !strings.Contains(parts["part=other"], "c,\\N\n") || len(parts["part=other"]) != 11 {
		t.Errorf("the parts are %q", parts)
	}
	if text := a.objects("results/")["results/"+id+"-manifest.csv"]; strings.Count(text, "s3://bank/out/part=") != 6 {
		t.Errorf("the manifest is %q", text)
	}
	if _, state, reason := a.query(unload); state != types.QueryExecutionStateFailed || !strings.HasPrefix(reason, "HIVE_PATH_ALREADY_EXISTS: ") {
		t.Errorf("the second time it is %s: %s", state, reason)
	}
	for sql, want := range map[string]string{
		"SELECT nothing FROM t": "nothing",
		"SELECT * FROM none":    "none",
		"CREATE EXTERNAL TABLE t (name string) LOCATION 's3://bank/data/'": "already exists",
		"CREATE EXTERNAL TABLE u (name string) LOCATION 's3://bank/data'":  "LOCATION",
		"DROP TABLE none":          "Table not found",
		"INSERT INTO t SELECT 'x'": "does not run",
	} {
		if _, state, reason := a.query(sql); state != types.QueryExecutionStateFailed || !strings.Contains(reason, want) {
			t.Errorf("%s is %s: %s", sql, state, reason)
		}
	}
	a.rows("DROP TABLE `t`")
	if got := a.runner.Tables(); len(got) != 0 {
		t.Errorf("the tables are %v", got)
	}
}

// TestDoublesLookLikeJavas has the bounds of the two forms of Double.toString in Java.
func TestDoublesLookLikeJavas(t *testing.T) {
	for x, want := range map[float64]string{0: "0.0", 5: "5.0", -2.5: "-2.5", 9999999: "9999999.0", 1e7: "1.0E7", 0.001: "0.001", 1.5e-4: "1.5E-4"} {
		if got := javaDouble(x); got != want {
			t.Errorf("%g is %s, want %s", x, got, want)
		}
	}
}
