package tracing

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Options are what the standard variables do not say.
type Options struct {
	Version  string // of the service
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Tracing makes spans and sends them. It is safe for concurrent use.
type Tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	exporter *exporter
	context  propagation.TraceContext
}

// Open begins tracing if the standard variables ask for it, and returns nil if
// they do not. It does not wait for the collector. A variable that is wrong is
// named in the log, and costs the traces but not the service: these variables
// are often set for many services at once.
func Open(ctx context.Context, o Options) *Tracing {
	on, err := wanted()
	if err != nil {
		o.Log.Warn("there are no traces", "error", err)
	}
	if !on {
		return nil
	}
	client, err := otlptracehttp.New(ctx)
	if err != nil {
		o.Log.Warn("there are no traces", "error", err)
		return nil
	}
	choice, err := samplerFromEnvironment()
	if err != nil {
		o.Log.Warn("not all settings of traces can be taken", "error", err)
	}
	service, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("gateway"), semconv.ServiceVersion(cmp.Or(o.Version, "dev"))),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv()) // OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
	if err != nil {
		o.Log.Warn("not all settings of traces can be taken", "error", err)
	}
	sent := newExporter(client, o.Log, o.Registry)
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(service),
		sdktrace.WithSampler(sampler{choice}),
		sdktrace.WithRawSpanLimits(spanLimits()),
		sdktrace.WithSpanProcessor(sent.counted(sdktrace.NewBatchSpanProcessor(sent))),
	)
	o.Log.Info("traces are sent to a collector")
	return &Tracing{provider: provider, tracer: provider.Tracer("gateway"), exporter: sent}
}

// Flush sends what waits. Where ctx ends before, the rest goes on waiting.
func (t *Tracing) Flush(ctx context.Context) { _ = t.provider.ForceFlush(ctx) }

// Close sends what waits and stops. Where ctx ends before, the rest is lost.
func (t *Tracing) Close(ctx context.Context) error {
	defer t.exporter.cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("the last traces could not be sent: %w", err)
	}
	return nil
}
