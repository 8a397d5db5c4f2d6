package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"gateway/internal/sandbox"
)

// answeringRunner is a runner that keeps the statements and answers queries by a function.
type answeringRunner struct {
	mu         sync.Mutex
	statements []string
	answer     func(ctx context.Context, sql string) (sandbox.QueryResult, error)
}

// Run implements sandbox.QueryRunner.
func (a *answeringRunner) Run(ctx context.Context, q sandbox.Query) (sandbox.QueryResult, error) {
	a.mu.Lock()
	a.statements = append(a.statements, q.SQL)
	a.mu.Unlock()
	return a.answer(ctx, q.SQL)
}

// ran returns the first words of the statements so far.
func (a *answeringRunner) ran() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var words []string
	for _, sql := range a.statements {
		words = append(words, strings.Fields(sql)[0])
	}
	return strings.Join(words, " ")
}

func openAsker(t *testing.T, a *answeringRunner) (*stand, *Asker) {
	t.Helper()
	s := startWith(t, smallSchema, sandbox.Options{Pace: sandbox.RealPace().Faster(10_000), Queries: a})
	s.write("renewals/r1/train/1.csv", "1,2\n")
	s.write("renewals/r1/train/2.csv", "1,3\n")
	s.write("renewals/r1/holdout.csv", "0,4\n")
	queries := NewAthena(s.api, AthenaSettings{Output: "s3://" + bucket + "/results/"})
	queries.first, queries.most = time.Millisecond, time.Millisecond
	return s, NewAsker(queries, s.files)
}

var askedNames = []string{"renewals/r1/train", "renewals/r1/holdout.csv"}

// TestAQuestionHasATableOfItsOwn asks and checks the statements, and the types of values.
func TestAQuestionHasATableOfItsOwn(t *testing.T) {
	a := &answeringRunner{answer: func(_ context.Context, sql string) (out sandbox.QueryResult, _ error) {
		if strings.HasPrefix(sql, "SELECT") {
			for _, kind := range []string{"bigint", "double", "boolean", "varchar", "integer", "double"} {
				out.Columns = append(out.Columns, sandbox.QueryColumn{Name: "a_" + kind, Type: kind})
			}
			out.Rows = [][]*string{{sdk.String("7"), sdk.String("-1.0E-7"), sdk.String("true"), sdk.String("7"), nil, sdk.String("NaN")}}
		}
		return out, nil
	}}
	_, asker := openAsker(t, a)
	var table, addresses, rows string
	columns, err := asker.Ask(t.Context(), askedNames, func(name string, files []string) string {
		table, addresses = name, strings.Join(files, " ")
		return "SELECT FROM " + name
	}, func(row []any) error {
		rows += fmt.Sprintf("%#v", row)
		return nil
	})
	if err != nil || strings.Join(columns, " ") != "a_bigint a_double a_boolean a_varchar a_integer a_double" || rows != `[]interface {}{7, -1e-07, true, "7", interface {}(nil), NaN}` {
		t.Errorf("got %v, %s: %v", columns, rows, err)
	}
	if !strings.HasSuffix(addresses, "renewals/r1/train/1.csv s3://bank/gateway/renewals/r1/train/2.csv s3://bank/gateway/renewals/r1/holdout.csv") {
		t.Errorf("the files are %s", addresses)
	}
	if got := a.ran(); got != "CREATE SELECT DROP" || !strings.Contains(a.statements[0], "renewals/r1/'") || !strings.Contains(a.statements[0], "`"+table+"`") ||
		!strings.Contains(a.statements[2], "`"+table+"`") || !strings.HasPrefix(table, "gateway_ask_") {
		t.Errorf("the statements of table %s are %q", table, a.statements)
	}
	// An error of the reader ends it and is returned; the table is dropped.
	enough := errors.New("enough")
	if _, err := asker.Ask(t.Context(), askedNames, func(string, []string) string { return "SELECT" }, func([]any) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	if got := a.ran(); got != "CREATE SELECT DROP CREATE SELECT DROP" {
		t.Errorf("the statements are %s", got)
	}
}

// TestAQuestionThatFailsLeavesNoTable fails and cancels queries at each place.
func TestAQuestionThatFailsLeavesNoTable(t *testing.T) {
	for _, first := range []string{"CREATE", "SELECT"} {
		failing := &answeringRunner{answer: func(_ context.Context, sql string) (out sandbox.QueryResult, err error) {
			if strings.HasPrefix(sql, first) {
				err = &sandbox.QueryError{ErrorCategory: 2, ErrorMessage: "COLUMN_NOT_FOUND"}
			}
			return out, err
		}}
		_, asker := openAsker(t, failing)
		ask := func(ctx context.Context) error {
			_, err := asker.Ask(ctx, askedNames, func(string, []string) string { return "SELECT" }, func([]any) error { return nil })
			return err
		}
		if err := ask(t.Context()); err == nil || !strings.Contains(err.Error(), "COLUMN_NOT_FOUND") {
			t.Errorf("%s: %v", first, err)
		}
		if got := failing.ran(); !strings.HasSuffix(got, first+" DROP") {
			t.Errorf("%s: the statements are %s", first, got)
		}
		// The query runs until Athena stops it.
		ctx, cancel := context.WithCancel(t.Context())
		stopped := false
		failing.answer = func(running context.Context, sql string) (out sandbox.QueryResult, err error) {
			if strings.HasPrefix(sql, first) {
				cancel()
				<-running.Done()
				stopped = true
				err = running.Err()
			}
			return out, err
		}
		if err := ask(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", first, err)
		}
		if got := failing.ran(); !stopped || !strings.HasSuffix(got, first+" DROP") {
			t.Errorf("%s: stopped %v, the statements are %s", first, stopped, got)
		}
	}
}

// TestCommonFolder has the folders above the files of training data.
func TestCommonFolder(t *testing.T) {
	for _, c := range [][3]string{{"", "a/b", "a/b"}, {"a/b", "a/b", "a/b"}, {"a/b/c", "a/b", "a/b"}, {"a/b", "a/b/c/d", "a/b"}, {"a/bc", "a/b", "a"}, {"a", "b", "."}} {
		if got := commonFolder(c[0], c[1]); got != c[2] {
			t.Errorf("above %s and %s is %s, want %s", c[0], c[1], got, c[2])
		}
	}
}
