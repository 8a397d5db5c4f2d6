package api

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/idempotency"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestProblems compares what callers see of the errors of this package with
// testdata/problems.txt, as problems and as errors for AWS SDKs. Package edge does the
// same for all other errors.
func TestProblems(t *testing.T) {
	cause := errors.New("dial tcp 10.0.0.7:5432: password=secret refused")
	var text strings.Builder
	for _, test := range []struct {
		name string
		err  error
	}{
		{"a key that is another request's", keyProblem(idempotency.ErrReused)},
		{"a request that is being handled", keyProblem(idempotency.ErrInProgress)},
		{"keys that cannot be seen", keyProblem(errors.Join(idempotency.ErrUnavailable, cause))},
		{"a line of a stream", &lineError{line: 7, err: failure.Errorf(failure.NotFound, "no customer has this customer_id")}},
		{"no such endpoint", noEndpoint("Other")},
	} {
		fmt.Fprintf(&text, "# %s\n", test.name)
		e := edge.New(edge.Deps{Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)}, edge.Options{})
		handler := e.Handler(func(r chi.Router) {
			r.Method("POST", "/*", edge.Handler(func(http.ResponseWriter, *http.Request) error { return test.err }))
		})
		for _, path := range []string{"/predict", "/endpoints/ServiceEndpoint/invocations"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), "POST", path, nil)
			r.Header.Set("X-Request-Id", "request-1")
			handler.ServeHTTP(w, r)
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
