package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/predict"
	"gateway/internal/predict/predicttest"
	"gateway/internal/schema"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// tracer records the spans.
type tracer struct {
	mu    sync.Mutex
	ended []ended
}

type ended struct {
	ID, Method, Route string
	Status, Rows      int
	Model             string
}

type traceKey struct{}

// Begin implements edge.Tracer.
func (*tracer) Begin(r *http.Request) (context.Context, string) {
	id := "trace-of-" + r.Header.Get("Traceparent")
	return context.WithValue(r.Context(), traceKey{}, id), id
}

// End implements edge.Tracer.
func (t *tracer) End(ctx context.Context, method, route string, status, rows int, model string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = append(t.ended, ended{ctx.Value(traceKey{}).(string), method, route, status, rows, model})
}

func (t *tracer) all() []ended {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]ended(nil), t.ended...)
}

func TestEachRequestButProbesHasASpanAndItsTraceIsInTheLog(t *testing.T) {
	spans := &tracer{}
	b := setup(t, func(b *bundle, _ *api.Options, _ *parts) { b.edge.Tracer = spans })
	b.do(http.MethodPost, "/predict", `{"features":`+technician+`}`, "Content-Type: application/json", "Traceparent: a")
	b.do(http.MethodPost, "/predict", `{`, "Content-Type: application/json", "Traceparent: b")
	b.do(http.MethodGet, "/admin/renewals/anna?x=anna", "", "Authorization: Bearer "+token, "Traceparent: c")
	b.do("BREW", "/anna", "", "Traceparent: d")
	for _, probe := range []string{"/livez", "/readyz", "/healthz", "/metrics"} {
		b.do(http.MethodGet, probe, "")
	}
	b.scorer.Fail(errTest)
	b.do(http.MethodPost, "/predict", `{"features":`+technician+`}`, "Content-Type: application/json", "Traceparent: e")
	want := []ended{
		{"trace-of-a", "POST", "/predict", 200, 1, "m1"},
		{"trace-of-b", "POST", "/predict", 400, 0, ""},
		{"trace-of-c", "GET", "/admin/renewals/{id}", 404, 0, ""},
		{"trace-of-d", "other", "unmatched", 404, 0, ""},
		{"trace-of-e", "POST", "/predict", 500, 0, ""},
	}
	if diff := cmp.Diff(want, spans.all()); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	logs := b.logs.String()
	for _, span := range want {
		if strings.Count(logs, `"trace_id":"`+span.ID+`"`) != 1 {
			t.Errorf("the log has not one line of %s:\n%s", span.ID, logs)
		}
	}
}

func TestWithoutATracerRequestsPassNothingMore(t *testing.T) {
	b := setup(t)
	installed := func() int {
		b.deps.Registry = prometheus.NewRegistry()
		b.edge.Registry = b.deps.Registry
		b.deps.Edge = edge.New(b.edge, edge.Options{})
		h, _ := api.New(b.deps, api.Options{})
		return len(h.(chi.Routes).Middlewares())
	}
	without := installed()
	b.edge.Tracer = &tracer{}
	if with := installed(); with != without+1 {
		t.Errorf("a tracer makes %d pieces of middleware %d, want one more", without, with)
	}
}

// BenchmarkTraced is a request without a tracer, and with one that does
// nothing: what the seam costs. What OpenTelemetry costs is measured beside it.
func BenchmarkTraced(b *testing.B) {
	for name, t := range map[string]edge.Tracer{"off": nil, "on": idleTracer{}} {
		b.Run(name, func(b *testing.B) {
			reg, log := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
			h, _ := api.New(api.Deps{Edge: edge.New(edge.Deps{Registry: reg, Log: log, Tracer: t}, edge.Options{}),
				Predict: benchService(), Registry: reg, OpenAPI: []byte(noDocument), Log: log}, api.Options{})
			r, w := httptest.NewRequest(http.MethodGet, "/schema", nil), httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				w.Body.Reset()
				h.ServeHTTP(w, r)
			}
		})
	}
}

func benchService() *predict.Service {
	store := predicttest.NewStore()
	return predict.NewService(schema.Bank(), &predicttest.Scorer{}, store, store, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
}

type idleTracer struct{}

func (idleTracer) Begin(r *http.Request) (context.Context, string) { return r.Context(), "" }

func (idleTracer) End(context.Context, string, string, int, int, string) {}
