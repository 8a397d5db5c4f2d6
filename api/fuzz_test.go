package api_test

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"gateway/api"

	"github.com/go-json-experiment/json/jsontext"
)

// fuzzPost sends any body and checks that the response is complete, valid JSON,
// and no 5xx.
func fuzzPost(f *testing.F, contentType string, paths ...string) {
	b := setupFuzz(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range paths {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), "POST", path, bytes.NewReader(body))
			r.Header.Set("Content-Type", contentType)
			b.handler.ServeHTTP(w, r)
			if w.Code >= 500 || w.Code < 200 {
				t.Errorf("%s: %d: %s", path, w.Code, w.Body)
			}
			for line := range strings.Lines(w.Body.String()) {
				if !jsontext.Value(line).IsValid() {
					t.Errorf("%s: not JSON: %s", path, line)
				}
			}
		}
	})
}

func setupFuzz(f *testing.F) *bundle {
	var b *bundle
	// A bundle belongs to a T; the parts that are needed here outlive it.
	testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "setup", F: func(t *testing.T) {
		b = setup(t, func(b *bundle, _ *api.Options, p *parts) {
			b.deps.Log, p.ledger = slog.New(slog.DiscardHandler), noLedger{b.store}
			b.deps.SpoolDir = f.TempDir()
		})
	}}})
	return b
}

func FuzzPredictBody(f *testing.F) {
	for _, seed := range []string{`{"features":` + technician + `}`, `{"customer_id":"10042","explain":true}`,
		`{"features":` + with("age", "1e999") + `}`, `{"instances":[{"customer_id":"1"},{"features":` + technician + `}]}`,
		`{"features":{"emp.var.rate":-1.1,"emp_var_rate":0}}`, `{"customer_id":"\u0000","x":[{}]}`, `[[[[`} {
		f.Add([]byte(seed))
	}
	fuzzPost(f, "application/json", "/predict", "/predict/batch")
}

func FuzzOutcomesBody(f *testing.F) {
	for _, seed := range []string{`{"customer_id":"10042","outcome":1,"observed_at":"2026-11-23T10:00:00Z"}`,
		`{"prediction_id":"0192","outcome":"yes"}`, `{"outcomes":[{"customer_id":"1","outcome":0},{"prediction_id":"2"},3]}`,
		`{"outcomes":{},"outcome":null}`, `{"outcomes":[]}`} {
		f.Add([]byte(seed))
	}
	fuzzPost(f, "application/json", "/outcomes")
}

func FuzzTables(f *testing.F) {
	for _, seed := range []string{csvHeader + csvRow, "customer_id\n10042\n", "age;job\n34;\"tech", `{"customer_id":"1"}` + "\n{}\n[", csvHeader + "34,technician\n"} {
		f.Add([]byte(seed))
	}
	fuzzPost(f, "text/csv", "/predict/batch", "/endpoints/ServiceEndpoint/invocations")
}
