package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"gateway/internal/gatewaytest"
	"gateway/internal/sandbox"
)

// lineCounter is an engine of Athena's that knows external tables, and answers every query
// with the number of lines of the files that it names and the sum of their first cells.
type lineCounter struct {
	mu     sync.Mutex
	tables map[string]string // name → location
	asked  []string
}

var (
	definition  = regexp.MustCompile("(?s)^CREATE EXTERNAL TABLE IF NOT EXISTS `(\\w+)` .*LOCATION '(.*)'$")
	removal     = regexp.MustCompile("^DROP TABLE IF EXISTS `(\\w+)`$")
	objectNames = regexp.MustCompile(`'s3://bank/([^']*)'`)
)

// Run implements sandbox.QueryRunner.
func (l *lineCounter) Run(ctx context.Context, q sandbox.Query) (out sandbox.QueryResult, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := definition.FindStringSubmatch(q.SQL); m != nil {
		l.tables[m[1]] = m[2]
		return out, nil
	}
	if m := removal.FindStringSubmatch(q.SQL); m != nil {
		delete(l.tables, m[1])
		return out, nil
	}
	l.asked = append(l.asked, q.SQL)
	rows, positive, bucket := 0, 0, "bank"
	for _, location := range l.tables {
		for _, m := range objectNames.FindAllStringSubmatch(q.SQL, -1) {
			if !strings.HasPrefix("s3://bank/"+m[1], location) {
				return out, &sandbox.QueryError{ErrorCategory: 2, ErrorMessage: m[1] + " is not below " + location}
			}
			object, err := q.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &m[1]})
			if err != nil {
				return out, err
			}
			text, err := io.ReadAll(object.Body)
			if err != nil {
				return out, err
			}
			_ = object.Body.Close()
			rows += bytes.Count(text, []byte("\n"))
			positive += strings.Count("\n"+string(text), "\n1,")
		}
	}
	out.Columns = []sandbox.QueryColumn{{Name: "customers", Type: "bigint"}, {Name: "positive", Type: "bigint"}}
	a, b := strconv.Itoa(rows), strconv.Itoa(positive)
	out.Rows = [][]*string{{&a, &b}, {nil, &b}}
	return out, nil
}

// TestAskInAthena asks on the platform sagemaker, over the wire of Athena, and compares
// with the answer of this process. What the SQL gives is tested in the module test/athena.
func TestAskInAthena(t *testing.T) {
	engine := &lineCounter{tables: map[string]string{}}
	s := sandbox.Start(t, sandbox.Options{Buckets: []string{"bank"}, Pace: sandbox.RealPace().Faster(5000), Queries: engine})
	gatewaytest.UseSandbox(t, s, "GATEWAY_RENEWAL_POLL", "5ms")
	newConfig(t)
	file, schema := gatewaytest.SmallData(t)
	t.Setenv("GATEWAY_SCHEMA", schema)
	code, out, errs := command(t, "ask", "SELECT 1")
	if code != exitFailed || !strings.Contains(errs, "gateway retrain") {
		t.Errorf("without training data it ended with %d: %s%s", code, out, errs)
	}
	for _, args := range [][]string{{"import", file}, {"retrain"}} {
		if code, out, errs := command(t, args...); code != exitOK {
			t.Fatalf("%v ended with %d: %s%s", args, code, out, errs)
		}
	}
	const question = "SELECT count(*) AS customers, sum(churned) AS positive FROM datasource"
	code, here, errs := command(t, "ask", "--here", "--csv", question)
	if code != exitOK || !strings.HasPrefix(here, "customers,positive\n900,") {
		t.Fatalf("--here ended with %d: %s%s", code, here, errs)
	}
	code, out, errs = command(t, "ask", "--csv", "--rows", "1", question)
	if code != exitOK || out != here || !strings.Contains(errs, "there are more than these 1 rows") {
		t.Errorf("Athena has %q and %q (%d), this process %q", out, errs, code, here)
	}
	if len(engine.asked) != 1 || !strings.HasSuffix(engine.asked[0], question) || !strings.HasPrefix(engine.asked[0], "WITH datasource AS (") || len(engine.tables) != 0 {
		t.Errorf("the queries are %q, the tables left are %v", engine.asked, engine.tables)
	}
	prefix := "gateway/athena/"
	if results, err := s3.NewFromConfig(s.Config()).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("bank"), Prefix: &prefix}); err != nil || len(results.Contents) == 0 {
		t.Errorf("there are no results below %s: %v", prefix, err)
	}
	if code, out, errs = command(t, "ask", "DROP TABLE datasource"); code != exitUsage || out != "" || len(gatewaytest.Lines(errs)) != 1 {
		t.Errorf("a statement that writes ended with %d: %s%s", code, out, errs)
	}
	code, out, errs = command(t, "ask", articleTable)
	if code != exitOK || !strings.Contains(out, "of the statement's columns it lacks age, job") || !strings.Contains(out, "the statement lacks visits, plan, churned") || len(gatewaytest.Lines(out)) != 1 {
		t.Errorf("the article's table ended with %d: %s%s", code, out, errs)
	}
	if code, out, errs = command(t, "ask"); code != exitOK || !strings.Contains(out, fmt.Sprintf("table datasource: %d labelled customers", 900)) {
		t.Errorf("the explanation ended with %d: %s%s", code, out, errs)
	}
}
