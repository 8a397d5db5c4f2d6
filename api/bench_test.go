package api_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"gateway/api"
)

// BenchmarkHandler is what the handlers take for a request, without a server: one
// prediction, a list of ten, and an outcome. The app has a key, and each request
// is logged.
func BenchmarkHandler(b *testing.B) {
	prediction := `{"features":` + technician + `}`
	for _, bench := range []struct{ name, path, body string }{
		{"predict", "/predict", prediction},
		{"batch", "/predict/batch", `{"instances":[` + listOf(prediction, 10) + `]}`},
		{"outcome", "/outcomes", `{"customer_id":"10042","outcome":1}`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			bundle := setupHandler(b, withAPIKeys(0, "web=key-1"), func(b *bundle, _ *api.Options, p *parts) {
				b.deps.Log = slog.New(slog.NewJSONHandler(io.Discard, nil))
				p.ledger = noLedger{b.store}
			})
			bundle.store10042()
			body := &replayed{text: []byte(bench.body)}
			r := httptest.NewRequest(http.MethodPost, bench.path, nil)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Api-Key", "key-1")
			r.ContentLength = int64(len(bench.body))
			w := &countingWriter{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(body.text)
				r.Body = body
				clear(w.header)
				bundle.handler.ServeHTTP(w, r)
			}
			if w.failed > 0 {
				b.Fatalf("%d requests failed", w.failed)
			}
		})
	}
}

// replayed is a body that can be read again.
type replayed struct {
	bytes.Reader
	text []byte
}

func (*replayed) Close() error { return nil }

// countingWriter counts the answers that are errors.
type countingWriter struct {
	header http.Header
	failed int
}

func (w *countingWriter) Header() http.Header         { return w.header }
func (w *countingWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *countingWriter) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		w.failed++
	}
}
