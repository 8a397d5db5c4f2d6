package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"gateway/internal/modelswap"
)

// athenaWire answers calls of Athena with what a test lists for each operation, one after
// the other; the last one is repeated.
type athenaWire struct {
	answers map[string][]string // by operation; "400 Code" and "500 Code" are errors
	calls   []string            // operation and body
}

func (w *athenaWire) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var body any
	_ = json.NewDecoder(r.Body).Decode(&body)
	text, _ := json.Marshal(body)
	w.calls = append(w.calls, operation+" "+string(text))
	answer := w.answers[operation][0]
	if len(w.answers[operation]) > 1 {
		w.answers[operation] = w.answers[operation][1:]
	}
	out.Header().Set("Content-Type", "application/x-amz-json-1.1")
	var status int
	var code string
	if n, _ := fmt.Sscanf(answer, "%d %s", &status, &code); n == 2 {
		out.WriteHeader(status)
		answer = fmt.Sprintf(`{"__type": %q, "message": "no"}`, code)
	}
	_, _ = out.Write([]byte(answer))
}

func athenaOn(t *testing.T, w *athenaWire) *Athena {
	t.Helper()
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	api, err := NewClients(sdk.Config{Region: "eu-central-1", BaseEndpoint: &server.URL, Retryer: hurriedRetryer,
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", "")})
	if err != nil {
		t.Fatal(err)
	}
	a := NewAthena(api, AthenaSettings{Workgroup: "renewals", Database: "bank", Output: "s3://bank/results/"})
	a.first, a.most = time.Microsecond, time.Microsecond
	return a
}

const athenaToken = "0123456789abcdef0123456789abcdef"

// state is an answer of GetQueryExecution.
func state(status string) string {
	return `{"QueryExecution": {"QueryExecutionId": "q-1", "Statistics": {"DataScannedInBytes": 4096, "TotalExecutionTimeInMillis": 1500}, "Status": ` + status + `}}`
}

func TestAQueryIsStartedUnderATokenAndPolled(t *testing.T) {
	w := &athenaWire{answers: map[string][]string{
		"StartQueryExecution": {"400 TooManyRequestsException", `{"QueryExecutionId": "q-1"}`},
		"GetQueryExecution": {state(`{"State": "QUEUED"}`), state(`{"State": "RUNNING"}`), "500 InternalServerException", state(`{"State": "QUEUED"}`),
			state(`{"State": "SUCCEEDED"}`)},
		"StopQueryExecution": {`{}`},
	}}
	a := athenaOn(t, w)
	id, err := a.Start(t.Context(), "SELECT 1", athenaToken)
	if err != nil || id != "q-1" {
		t.Fatalf("started %q: %v", id, err)
	}
	want := `StartQueryExecution {"ClientRequestToken":"` + athenaToken + `","QueryExecutionContext":{"Database":"bank"},"QueryString":"SELECT 1",` +
		`"ResultConfiguration":{"OutputLocation":"s3://bank/results/"},"WorkGroup":"renewals"}`
	if !slices.Equal(w.calls, []string{want, want}) {
		t.Errorf("calls are %q, want twice %q", w.calls, want)
	}
	s, err := a.Wait(t.Context(), id)
	if err != nil || !s.Done || s.Scanned != 4096 || s.Took != 1500*time.Millisecond {
		t.Errorf("got %+v, %v", s, err)
	}
	if err := a.Stop(t.Context(), id); err != nil || w.calls[len(w.calls)-1] != `StopQueryExecution {"QueryExecutionId":"q-1"}` {
		t.Errorf("stopped with %q: %v", w.calls[len(w.calls)-1], err)
	}
}

func TestFailedQueriesHaveAClass(t *testing.T) {
	tests := []struct {
		name, status, text string
		class              modelswap.Class
	}{
		{"the query is wrong", `{"State": "FAILED", "StateChangeReason": "COLUMN_NOT_FOUND: age", "AthenaError": {"ErrorCategory": 2, "ErrorType": 1006, "Retryable": false}}`,
			"query q-1 failed: COLUMN_NOT_FOUND: age", modelswap.Input},
		{"a fault of the service", `{"State": "FAILED", "AthenaError": {"ErrorCategory": 1, "ErrorType": 0, "ErrorMessage": "internal"}}`, "failed: internal", modelswap.Transient},
		{"it may succeed", `{"State": "FAILED", "StateChangeReason": "exhausted", "AthenaError": {"ErrorCategory": 2, "Retryable": true}}`, "exhausted", modelswap.Transient},
		{"S3 throttles", `{"State": "FAILED", "StateChangeReason": "HIVE_CURSOR_ERROR: Please reduce your request rate (SlowDown)"}`, "SlowDown", modelswap.Throttled},
		{"no reason", `{"State": "FAILED"}`, "failed: ", modelswap.Input},
		{"cancelled", `{"State": "CANCELLED", "StateChangeReason": "by an operator"}`, "was cancelled: by an operator", modelswap.Input},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := athenaOn(t, &athenaWire{answers: map[string][]string{"GetQueryExecution": {state(tt.status)}}})
			s, err := a.Status(t.Context(), "q-1")
			if err != nil || !s.Done {
				t.Fatalf("got %+v, %v", s, err)
			}
			isFault(t, s.Err, tt.class, tt.text)
			_, err = a.Wait(t.Context(), "q-1")
			isFault(t, err, tt.class, tt.text)
		})
	}
}

func TestCallsOfAthenaHaveAClass(t *testing.T) {
	tests := []struct {
		answer string
		class  modelswap.Class
	}{
		{"400 TooManyRequestsException", modelswap.Throttled},
		{"400 InvalidRequestException", modelswap.Input},
		{"500 InternalServerException", modelswap.Transient},
		{`{}`, modelswap.Transient}, // no query in the answer
	}
	for _, tt := range tests {
		a := athenaOn(t, &athenaWire{answers: map[string][]string{"StartQueryExecution": {tt.answer}, "GetQueryExecution": {tt.answer}}})
		_, err := a.Status(t.Context(), "q-1")
		isFault(t, err, tt.class, "GetQueryExecution: ")
		if tt.answer != `{}` {
			_, err = a.Start(t.Context(), "SELECT 1", athenaToken)
			isFault(t, err, tt.class, "StartQueryExecution: ")
		}
	}
	a := athenaOn(t, &athenaWire{})
	_, err := a.Start(t.Context(), "SELECT 1", "short")
	isFault(t, err, modelswap.Bug, "has 5 characters")
	_, err = a.Start(t.Context(), strings.Repeat(" ", maxQueryBytes+1), athenaToken)
	isFault(t, err, modelswap.Input, "262145 bytes")
}

func TestWaitEndsWithItsContext(t *testing.T) {
	a := athenaOn(t, &athenaWire{answers: map[string][]string{"GetQueryExecution": {state(`{"State": "RUNNING"}`)}}})
	a.first = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Wait(ctx, "q-1"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestRowsOfAResultArePagedWithoutTheirHeader(t *testing.T) {
	const columns = `"ResultSetMetadata": {"ColumnInfo": [{"Name": "job", "Type": "varchar"}, {"Name": "n", "Type": "bigint"}]}`
	w := &athenaWire{answers: map[string][]string{"GetQueryResults": {
		`{"NextToken": "two", "ResultSet": {` + columns + `, "Rows": [{"Data": [{"VarCharValue": "job"}, {"VarCharValue": "n"}]}, {"Data": [{"VarCharValue": "admin."}, {"VarCharValue": "7"}]}]}}`,
		`{"ResultSet": {` + columns + `, "Rows": [{"Data": [{"VarCharValue": "job"}, {"VarCharValue": "n"}]}, {"Data": [{}, {"VarCharValue": ""}]}]}}`,
	}}}
	a := athenaOn(t, w)
	var got []string
	names, err := a.Rows(t.Context(), "q-1", func(row []*string) error {
		for _, cell := range row {
			if cell == nil {
				got = append(got, "NULL")
			} else {
				got = append(got, *cell)
			}
		}
		return nil
	})
	if err != nil || !slices.Equal(names, []string{"job", "n"}) {
		t.Fatalf("columns are %q: %v", names, err)
	}
	// Only the first row of the first page is the header.
	if want := []string{"admin.", "7", "job", "n", "NULL", ""}; !slices.Equal(got, want) {
		t.Errorf("rows are %q, want %q", got, want)
	}
	if len(w.calls) != 2 || !strings.Contains(w.calls[1], `"NextToken":"two"`) {
		t.Errorf("calls are %q", w.calls)
	}
	stop := errors.New("enough")
	w.answers["GetQueryResults"] = []string{`{"ResultSet": {` + columns + `, "Rows": [{"Data": [{"VarCharValue": "a"}, {"VarCharValue": "1"}]}]}}`}
	if _, err := a.Rows(t.Context(), "q-1", func([]*string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want the callback's error", err)
	}
}
