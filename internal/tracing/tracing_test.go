package tracing_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"gateway/internal/modelswap"
	"gateway/internal/tracing"
	"gateway/internal/tracing/tracetest"
)

// bundle is tracing to a collector.
type bundle struct {
	*tracing.Tracing
	t         *testing.T
	collector *tracetest.Collector
	registry  *prometheus.Registry
	logs      *lockedBuffer
}

// setup sets variables, given as pairs, and opens tracing to a collector.
func setup(t *testing.T, variables ...string) *bundle {
	t.Helper()
	b := &bundle{t: t, collector: tracetest.Start(t), registry: prometheus.NewRegistry(), logs: &lockedBuffer{}}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", b.collector.URL)
	for i := 0; i < len(variables); i += 2 {
		t.Setenv(variables[i], variables[i+1])
	}
	b.Tracing = open(t, b.logs, b.registry)
	if b.Tracing == nil {
		t.Fatalf("there are no traces: %s", b.logs)
	}
	t.Cleanup(func() { _ = b.Close(expired()) })
	return b
}

func open(t *testing.T, logs *lockedBuffer, reg prometheus.Registerer) *tracing.Tracing {
	t.Helper()
	return tracing.Open(t.Context(), tracing.Options{Version: "v1", Log: slog.New(slog.NewTextHandler(logs, nil)), Registry: reg})
}

func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// sent closes tracing and returns the spans that the collector received, by name.
func (b *bundle) sent() map[string][]tracetest.Span {
	b.t.Helper()
	if err := b.Close(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	found := make(map[string][]tracetest.Span)
	for _, s := range b.collector.Spans() {
		found[s.Name] = append(found[s.Name], s)
	}
	return found
}

// request handles a request with these headers within a span.
func (b *bundle) request(status int, headers ...string) (traceID string) {
	r := httptest.NewRequest(http.MethodPost, "/predict?customer=anna", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	ctx, traceID := b.Begin(r)
	b.End(ctx, "POST", "/predict", status, 1, "m1")
	return traceID
}

func TestNothingRunsWhereNobodyAsksForTraces(t *testing.T) {
	for _, variables := range [][]string{
		{},
		{"OTEL_SERVICE_NAME", "predictions", "OTEL_TRACES_SAMPLER", "always_on"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318", "OTEL_SDK_DISABLED", "true"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER", "none"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", " "},
	} {
		t.Run(strings.Join(variables, " "), func(t *testing.T) {
			for i := 0; i < len(variables); i += 2 {
				t.Setenv(variables[i], variables[i+1])
			}
			before, logs, registry := runtime.NumGoroutine(), &lockedBuffer{}, prometheus.NewRegistry()
			if open(t, logs, registry) != nil {
				t.Error("there are traces")
			}
			if after := runtime.NumGoroutine(); after != before {
				t.Errorf("%d goroutines became %d", before, after)
			}
			if n, err := testutil.GatherAndCount(registry); n != 0 || err != nil || logs.String() != "" {
				t.Errorf("%d metrics (%v), log %q; want nothing", n, err, logs)
			}
		})
	}
}

func TestAVariableThatIsWrongIsNamedAndCostsNoMoreThanTheTraces(t *testing.T) {
	for _, tt := range []struct {
		variable, value, want string
		traces                bool
	}{
		{"OTEL_TRACES_EXPORTER", "zipkin", `OTEL_TRACES_EXPORTER is \"zipkin\", want otlp or none`, false},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", `OTEL_EXPORTER_OTLP_PROTOCOL is \"grpc\", want http/protobuf`, false},
		{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc", `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is \"grpc\", want http/protobuf`, false},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not a URL", false},
		{"OTEL_TRACES_SAMPLER", "mine", `OTEL_TRACES_SAMPLER is \"mine\", which is unknown`, true},
		{"OTEL_RESOURCE_ATTRIBUTES", "nonsense", "cannot read all resource attributes of spans", true},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "spans are sent to a collector", true},
		{"OTEL_TRACES_EXPORTER", "otlp", "spans are sent to a collector", true},
	} {
		t.Run(tt.variable+"="+tt.value, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", tracetest.Start(t).URL)
			t.Setenv(tt.variable, tt.value)
			logs := &lockedBuffer{}
			traces := open(t, logs, prometheus.NewRegistry())
			if (traces != nil) != tt.traces || !strings.Contains(logs.String(), tt.want) {
				t.Errorf("traces: %t, want %t; log %q, want %q", traces != nil, tt.traces, logs, tt.want)
			}
			if traces != nil {
				_ = traces.Close(expired())
			}
		})
	}
}

func TestARequestsSpanTellsItsRouteAndNothingThatIsPersonal(t *testing.T) {
	b := setup(t, "OTEL_SERVICE_NAME", "predictions", "OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	const caller = "0af7651916cd43dd8448eb211c80319c"
	if id := b.request(200, "Traceparent", "00-"+caller+"-b7ad6b7169203331-01", "Baggage", "customer=anna"); id != caller {
		t.Errorf("the trace is %s, want the caller's", id)
	}
	other := b.request(503)
	spans := b.sent()["POST /predict"]
	if len(spans) != 2 {
		t.Fatalf("got %+v, want two spans", spans)
	}
	first, second := spans[0], spans[1]
	if first.TraceID != caller || first.ParentID != "b7ad6b7169203331" || first.Kind != "SERVER" || first.Failed {
		t.Errorf("got %+v, want a server's span in the caller's trace", first)
	}
	if second.TraceID != other || second.ParentID != "" || !second.Failed {
		t.Errorf("got %+v, want a failed one in a trace of its own, %s", second, other)
	}
	attributes := map[string]any{"http.request.method": "POST", "http.route": "/predict", "http.response.status_code": int64(200),
		"gateway.rows": int64(1), "gateway.model": "m1"}
	if diff := cmp.Diff(attributes, first.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	for name, want := range map[string]any{"service.name": "predictions", "service.version": "v1", "deployment.environment": "test"} {
		if got := first.Resource[name]; got != want {
			t.Errorf("the resource's %s is %v, want %v", name, got, want)
		}
	}
	if b.collector.Contains("anna") {
		t.Error("a customer's name came over the wire")
	}
}

func TestTheCallerOrAShareDecidesWhichTracesAreKept(t *testing.T) {
	const kept, dropped = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	for _, tt := range []struct {
		sampler, share, parent string
		want                   int
	}{
		{"", "", "", 1},
		{"", "", dropped, 0},
		{"always_on", "", dropped, 1},
		{"always_off", "", kept, 0},
		{"traceidratio", "0", kept, 0},
		{"traceidratio", "1", dropped, 1},
		{"parentbased_traceidratio", "0", "", 0},
		{"parentbased_traceidratio", "0", kept, 1},
		{"parentbased_always_off", "", "", 0},
		{"parentbased_always_off", "", kept, 1},
		{"parentbased_traceidratio", "many", "", 1},
	} {
		t.Run(tt.sampler+" "+tt.share+" "+tt.parent, func(t *testing.T) {
			b := setup(t, "OTEL_TRACES_SAMPLER", tt.sampler, "OTEL_TRACES_SAMPLER_ARG", tt.share)
			b.request(200, "Traceparent", tt.parent)
			if got := len(b.sent()["POST /predict"]); got != tt.want {
				t.Errorf("%d spans are kept, want %d", got, tt.want)
			}
		})
	}
}

func TestARenewalsStepsAreSpans(t *testing.T) {
	b := setup(t)
	at := func(second int) *time.Time {
		moment := time.Date(2026, 11, 26, 10, 0, second, 0, time.UTC)
		return &moment
	}
	model, text := "m2", "AccessDenied: s3://bucket/anna.csv"
	b.Renewal(&modelswap.Renewal{ID: "r1", Status: modelswap.Failed, Trigger: modelswap.TriggerSchedule, Reason: "because of anna",
		CreatedAt: *at(0), FinishedAt: at(9), Model: &model, Error: text, Steps: []modelswap.Step{
			{Name: modelswap.Export, Status: modelswap.StepSucceeded, Attempt: 1, StartedAt: at(1), FinishedAt: at(4)},
			{Name: modelswap.Convert, Status: modelswap.StepFailed, Attempt: 2, StartedAt: at(5), FinishedAt: at(9), Error: &text},
			{Name: modelswap.Train, Status: modelswap.StepPending},
		}})
	spans := b.sent()
	if len(spans) != 3 || len(spans["renewal"]) != 1 {
		t.Fatalf("got %+v, want a renewal and its two steps", spans)
	}
	root := spans["renewal"][0]
	if !root.Failed || !root.Start.Equal(*at(0)) || !root.End.Equal(*at(9)) || root.Attributes["gateway.renewal"] != "r1" ||
		root.Attributes["gateway.trigger"] != "schedule" || root.Attributes["gateway.model"] != "m2" {
		t.Errorf("the renewal's span is %+v", root)
	}
	step := spans["renewal convert"][0]
	if !step.Failed || step.ParentID != root.ID || step.TraceID != root.TraceID || !step.Start.Equal(*at(5)) ||
		step.Attributes["gateway.status"] != "failed" || step.Attributes["gateway.attempt"] != int64(2) {
		t.Errorf("the step's span is %+v", step)
	}
	if spans["renewal export"][0].Failed || b.collector.Contains("anna") {
		t.Error("the export failed, or a text of the renewal's came over the wire")
	}
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
