package edge

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"gateway/internal/failure"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestProblems holds every kind of error to testdata/problems.txt: what
// callers see, as a problem and in the envelope for AWS SDKs.
func TestProblems(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	cause := errors.New("dial tcp 10.0.0.7:5432: password=secret refused")
	var text strings.Builder
	for _, test := range []struct {
		name string
		err  error
		ctx  context.Context
	}{
		{"JSON that is broken", Refuse(Malformed, "the body is not JSON"), nil},
		{"no token", Refuse(Unauthenticated, "send a token"), nil},
		{"a wrong token", Refuse(Forbidden, "not this one"), nil},
		{"no such route", Refuse(NotFound, "there is no such route"), nil},
		{"no such method", &Refusal{Reason: MethodNotAllowed, Allow: "GET, HEAD", Detail: "this route takes GET, HEAD"}, nil},
		{"a slow body", &Refusal{Reason: SlowBody, Detail: "the body did not arrive in time", Err: cause}, nil},
		{"a large body", fmt.Errorf("reading: %w", &http.MaxBytesError{Limit: 10}), nil},
		{"another media type", Refuse(UnsupportedMedia, "this route takes application/json"), nil},
		{"too many requests", &Refusal{Reason: TooManyRequests, RetryAfter: 90 * time.Second, Detail: "slower, please"}, nil},
		{"invalid", &failure.Error{Kind: failure.Invalid, Detail: "1 field broke the schema", Err: cause,
			Violations: []failure.Violation{{Field: "/features/age", Code: failure.CodeType, Detail: "must be an integer"}}}, nil},
		{"bytes that are not UTF-8", &failure.Error{Kind: failure.Invalid, Detail: "the column gr\xf6\xdfe is unknown",
			Violations: []failure.Violation{{Field: "caf\xe9", Code: failure.CodeUnknown, Detail: "is not \xe9 or ü"}}}, nil},
		{"not found", fmt.Errorf("looking: %w", failure.Errorf(failure.NotFound, "no customer has this customer_id")), nil},
		{"a conflict", failure.Errorf(failure.Conflict, "renewal 7 is not finished"), nil},
		{"a key that is another request's", Refuse(KeyReused, "another request was sent with this key"), nil},
		{"a request that is being handled", &Refusal{Reason: InProgress, RetryAfter: time.Second, Detail: "the first request is still being handled", Err: cause}, nil},
		{"unavailable, no one knows for how long", &failure.Error{Kind: failure.Unavailable, Detail: "no model serves yet", Err: cause}, nil},
		{"unavailable for a while", &failure.Error{Kind: failure.Unavailable, Detail: "throttled", RetryAfter: 1500 * time.Millisecond}, nil},
		{"a model that fails", &failure.Error{Kind: failure.BadModel, Detail: "the model failed", Err: cause}, nil},
		{"the model's deadline", &failure.Error{Kind: failure.Deadline, Detail: "the model did not answer in time", Err: cause}, nil},
		{"the context's deadline", fmt.Errorf("asking: %w", context.DeadlineExceeded), nil},
		{"the service is stopping", fmt.Errorf("asking: %w", context.Canceled), nil},
		{"an internal error with a kind", &failure.Error{Kind: failure.Internal, Detail: "an internal detail", Err: cause}, nil},
		{"any other error", cause, nil},
		{"a place in the body", placed{failure.Errorf(failure.NotFound, "no customer has this customer_id")}, nil},
		{"a caller who has gone", fmt.Errorf("asking: %w", context.Canceled), gone},
		{"a message of AWS", &AWSRefusal{Refuse(NotFound, "there is no such endpoint"), "Endpoint Other not found."}, nil},
	} {
		fmt.Fprintf(&text, "# %s\n", test.name)
		for _, path := range []string{"/predict", "/endpoints/ServiceEndpoint/invocations"} {
			ctx := t.Context()
			if test.ctx != nil {
				ctx = test.ctx
			}
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(ctx, "POST", path, nil)
			r.Header.Set("X-Request-Id", "request-1")
			x := newExchange(w, r, time.Now(), nil)
			func() {
				defer func() {
					if cause := recover(); cause != nil && cause != http.ErrAbortHandler {
						panic(cause)
					}
				}()
				Fail(&x.response, r.WithContext(&x.context), test.err)
			}()
			if x.err == nil || x.problem == nil {
				t.Errorf("%s: the request has no error for the log", test.name)
			}
			if w.Body.Len() == 0 {
				fmt.Fprintf(&text, "no answer, logged as %d\n", x.Status())
				continue
			}
			fmt.Fprintf(&text, "%d", w.Code)
			for _, name := range []string{"Content-Type", "X-Amzn-Errortype", "X-Amzn-Requestid", "Retry-After", "Allow", "WWW-Authenticate"} {
				if value := w.Header().Get(name); value != "" {
					fmt.Fprintf(&text, " %s: %s;", name, value)
				}
			}
			fmt.Fprintf(&text, "\n%s\n", strings.TrimSpace(w.Body.String()))
		}
		fmt.Fprintln(&text)
	}
	if strings.Contains(text.String(), "secret") {
		t.Error("a cause reached the caller")
	}
	const golden = "testdata/problems.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("other problems than in %s (-update writes it anew):\n%s", golden, diff)
	}
}

// placed is an error with a position in the body.
type placed struct{ error }

func (placed) Place() string   { return "line 7: " }
func (p placed) Unwrap() error { return p.error }

func TestAProblemAsAnErrorIsForPeople(t *testing.T) {
	p := &Problem{Title: "Invalid", Status: 422, Detail: "2 fields", Errors: []failure.Violation{
		{Field: "/features/age", Detail: "must be an integer"}, {Field: "explain", Detail: "must be true or false"}}}
	want := "Invalid (422): 2 fields\n  /features/age: must be an integer\n  explain: must be true or false"
	if p.Error() != want {
		t.Errorf("got %q", p.Error())
	}
}
