package tracing_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/tracing"
	"gateway/internal/tracing/tracetest"
)

// BenchmarkRequest is what a request's span costs: kept, and not kept.
func BenchmarkRequest(b *testing.B) {
	for _, sampler := range []string{"always_on", "always_off"} {
		b.Run(sampler, func(b *testing.B) {
			b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", tracetest.Start(b).URL)
			b.Setenv("OTEL_TRACES_SAMPLER", sampler)
			t := tracing.Open(b.Context(), tracing.Options{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
			defer t.Close(expired())
			r := httptest.NewRequest(http.MethodPost, "/predict", nil)
			b.ReportAllocs()
			for b.Loop() {
				ctx, _ := t.Begin(r)
				t.End(ctx, "POST", "/predict", 200, 1, "m1")
			}
		})
	}
}
