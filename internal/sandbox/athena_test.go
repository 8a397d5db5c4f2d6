package sandbox_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"

	"gateway/internal/sandbox"
)

// runner is a QueryRunner that is a function.
type runner func(ctx context.Context, q sandbox.Query) (sandbox.QueryResult, error)

func (r runner) Run(ctx context.Context, q sandbox.Query) (sandbox.QueryResult, error) {
	return r(ctx, q)
}

// queries is a sandbox with a manual clock, and a client of its Athena that tries once.
func queries(t *testing.T, r sandbox.QueryRunner) (*stand, *athena.Client) {
	t.Helper()
	s := startWith(t, sandbox.Options{Clock: sandbox.NewManualClock(), Queries: r})
	return s, athena.NewFromConfig(s.Config(), func(o *athena.Options) { o.RetryMaxAttempts = 1 })
}

const token = "0123456789abcdef0123456789abcdef"

func asked(sql, token string) *athena.StartQueryExecutionInput {
	return &athena.StartQueryExecutionInput{QueryString: &sql, ClientRequestToken: &token, QueryExecutionContext: &types.QueryExecutionContext{Database: aws.String("shop")},
		ResultConfiguration: &types.ResultConfiguration{OutputLocation: aws.String("s3://bank/results/")}}
}

func startQuery(t *testing.T, c *athena.Client, in *athena.StartQueryExecutionInput) string {
	t.Helper()
	out, err := c.StartQueryExecution(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.QueryExecutionId
}

func describeQuery(t *testing.T, c *athena.Client, id string) *types.QueryExecution {
	t.Helper()
	out, err := c.GetQueryExecution(t.Context(), &athena.GetQueryExecutionInput{QueryExecutionId: &id})
	if err != nil {
		t.Fatal(err)
	}
	return out.QueryExecution
}

// inState checks the state of a query and its reason.
func inState(t *testing.T, c *athena.Client, id string, want types.QueryExecutionState, reason string) *types.QueryExecution {
	t.Helper()
	q := describeQuery(t, c, id)
	if got := aws.ToString(q.Status.StateChangeReason); q.Status.State != want || got != reason {
		t.Fatalf("the query is %s: %q, want %s: %q", q.Status.State, got, want, reason)
	}
	return q
}

func TestAQueryIsQueuedRunsAndHasPagesOfRows(t *testing.T) {
	var ran atomic.Int32
	s, c := queries(t, runner(func(_ context.Context, q sandbox.Query) (sandbox.QueryResult, error) {
		ran.Add(1)
		r := sandbox.QueryResult{Columns: []sandbox.QueryColumn{{Name: "sql", Type: "varchar"}, {Name: "n", Type: "bigint"}}, Scanned: 4096}
		for i := range 1500 {
			r.Rows = append(r.Rows, []*string{aws.String(q.Database + `: "` + q.SQL + `"`), aws.String(fmt.Sprint(i))})
		}
		r.Rows[0][1] = nil
		return r, nil
	}))
	id := startQuery(t, c, asked("SELECT 1", token))
	if same := startQuery(t, c, asked("SELECT 1", token)); same != id {
		t.Errorf("the token started %s and then %s", id, same)
	}
	_, err := c.StartQueryExecution(t.Context(), asked("SELECT 2", token))
	refused(t, err, "InvalidRequestException", "Idempotent parameters do not match")

	inState(t, c, id, types.QueryExecutionStateQueued, "")
	_, err = c.GetQueryResults(t.Context(), &athena.GetQueryResultsInput{QueryExecutionId: &id})
	refused(t, err, "InvalidRequestException", "Query has not yet finished. Current state: QUEUED")
	s.Advance(500 * time.Millisecond)
	inState(t, c, id, types.QueryExecutionStateRunning, "")
	s.Advance(time.Second)
	q := inState(t, c, id, types.QueryExecutionStateSucceeded, "")
	if *q.Statistics.DataScannedInBytes != 4096 || *q.Statistics.TotalExecutionTimeInMillis != 1200 || *q.Statistics.QueryQueueTimeInMillis != 200 ||
		q.StatementType != types.StatementTypeDml || *q.ResultConfiguration.OutputLocation != "s3://bank/results/"+id+".csv" || q.Status.CompletionDateTime == nil {
		t.Errorf("it is %+v with %+v and %+v", q, q.Statistics, q.ResultConfiguration)
	}

	pages := athena.NewGetQueryResultsPaginator(c, &athena.GetQueryResultsInput{QueryExecutionId: &id})
	var rows []types.Row
	var sizes []int
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if info := page.ResultSet.ResultSetMetadata.ColumnInfo; len(info) != 2 || *info[1].Name != "n" || *info[1].Type != "bigint" {
			t.Errorf("the columns are %+v", info)
		}
		rows = append(rows, page.ResultSet.Rows...)
		sizes = append(sizes, len(page.ResultSet.Rows))
	}
	if fmt.Sprint(sizes) != "[1000 501]" || *rows[0].Data[0].VarCharValue != "sql" || rows[1].Data[1].VarCharValue != nil || *rows[1500].Data[1].VarCharValue != "1499" {
		t.Errorf("pages of %v rows, from %+v to %+v", sizes, rows[0], rows[len(rows)-1])
	}
	if text := s.get("results/"+id+".csv", ""); !strings.HasPrefix(text, "\"sql\",\"n\"\n\"shop: \"\"SELECT 1\"\"\",\n\"shop: \"\"SELECT 1\"\"\",\"1\"\n") {
		t.Errorf("the file of the result begins with %.80q", text)
	}
	if n := ran.Load(); n != 1 {
		t.Errorf("the SQL ran %d times", n)
	}
}

func TestWithoutAnEngineAQueryFailsAndSaysSo(t *testing.T) {
	s, c := queries(t, nil)
	id := startQuery(t, c, asked("SELECT 1", token))
	s.Advance(time.Minute)
	const reason = "The sandbox has no engine for SQL: this program was built without one."
	if e := inState(t, c, id, types.QueryExecutionStateFailed, reason).Status.AthenaError; *e.ErrorCategory != 2 || e.Retryable {
		t.Errorf("the error is %+v", e)
	}
	_, err := c.GetQueryResults(t.Context(), &athena.GetQueryResultsInput{QueryExecutionId: &id})
	refused(t, err, "InvalidRequestException", "Query did not finish successfully. Final query state: FAILED")
}

func TestRequestsThatAthenaRefuses(t *testing.T) {
	_, c := queries(t, nil)
	change := func(f func(*athena.StartQueryExecutionInput)) error {
		in := asked("SELECT 1", token)
		f(in)
		_, err := c.StartQueryExecution(t.Context(), in)
		return err
	}
	refused(t, change(func(in *athena.StartQueryExecutionInput) { in.ResultConfiguration = nil }), "InvalidRequestException", "No output location provided.")
	refused(t, change(func(in *athena.StartQueryExecutionInput) { in.ClientRequestToken = aws.String("short") }), "InvalidRequestException", "1 validation error detected: Value 'short' at 'clientRequestToken'")
	refused(t, change(func(in *athena.StartQueryExecutionInput) { in.QueryString = aws.String(strings.Repeat(" ", 262_145)) }), "InvalidRequestException", "1 validation error detected: Value at 'queryString'")
	none := aws.String("none")
	_, err := c.GetQueryExecution(t.Context(), &athena.GetQueryExecutionInput{QueryExecutionId: none})
	refused(t, err, "InvalidRequestException", "QueryExecution none was not found")
	_, err = c.StopQueryExecution(t.Context(), &athena.StopQueryExecutionInput{QueryExecutionId: none})
	refused(t, err, "InvalidRequestException", "QueryExecution none was not found")
}

func TestAQueryIsThrottledFailsAndStopsByOrder(t *testing.T) {
	started := make(chan string, 10)
	s, c := queries(t, runner(func(ctx context.Context, q sandbox.Query) (sandbox.QueryResult, error) {
		started <- q.SQL
		if strings.HasSuffix(q.SQL, "forever") {
			<-ctx.Done()
			return sandbox.QueryResult{}, ctx.Err()
		}
		return sandbox.QueryResult{}, nil
	}))
	s.Order("StartQueryExecution", sandbox.Fault{Kind: sandbox.Throttle})
	_, err := c.StartQueryExecution(t.Context(), asked("SELECT 1", token))
	refused(t, err, "TooManyRequestsException", "You have exceeded the limit")

	// A failed UNLOAD has written its files; a definition that failed has defined nothing.
	s.Order("StartQueryExecution", sandbox.Fault{Kind: sandbox.Fail, Resource: "UNLOAD", Reason: "HIVE_WRITER_CLOSE_ERROR", Status: 500})
	s.Order("StartQueryExecution", sandbox.Fault{Kind: sandbox.Fail, Resource: "CREATE"})
	unload := startQuery(t, c, asked("UNLOAD (SELECT 1) TO 's3://bank/x/'", "1"+token))
	create := startQuery(t, c, asked("CREATE EXTERNAL TABLE t (line string)", "2"+token))
	s.Advance(time.Minute)
	if e := inState(t, c, unload, types.QueryExecutionStateFailed, "HIVE_WRITER_CLOSE_ERROR").Status.AthenaError; *e.ErrorCategory != 1 || !e.Retryable {
		t.Errorf("the error is %+v", e)
	}
	if e := inState(t, c, create, types.QueryExecutionStateFailed, "GENERIC_USER_ERROR: the query failed by order").Status.AthenaError; *e.ErrorCategory != 2 || e.Retryable {
		t.Errorf("the error is %+v", e)
	}
	if len(started) != 1 || !strings.HasPrefix(<-started, "UNLOAD") {
		t.Error("the definition ran, or UNLOAD did not")
	}

	stop := func(id string) {
		t.Helper()
		if _, err := c.StopQueryExecution(t.Context(), &athena.StopQueryExecutionInput{QueryExecutionId: &id}); err != nil {
			t.Fatal(err)
		}
		s.Advance(time.Minute)
	}
	stuck := s.Order("StartQueryExecution", sandbox.Fault{Kind: sandbox.Stick})
	id := startQuery(t, c, asked("SELECT 2", "3"+token))
	s.Advance(time.Hour)
	inState(t, c, id, types.QueryExecutionStateRunning, "")
	stop(id)
	stuck.Release()
	s.Advance(time.Hour)
	inState(t, c, id, types.QueryExecutionStateCancelled, "Query cancelled by user")
	if len(started) != 0 {
		t.Error("a query that was stopped before it ran has run")
	}

	id = startQuery(t, c, asked("SELECT 'forever", "4"+token))
	s.Advance(500 * time.Millisecond)
	<-started
	stop(id)
	inState(t, c, id, types.QueryExecutionStateCancelled, "Query cancelled by user")
	done := startQuery(t, c, asked("SELECT 3", "5"+token))
	s.Advance(time.Minute)
	stop(done)
	inState(t, c, done, types.QueryExecutionStateSucceeded, "")
}
