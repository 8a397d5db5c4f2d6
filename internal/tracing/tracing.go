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

// Options are the settings that the standard variables do not have.
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

// Open starts tracing if the standard variables enable it, else it returns nil. It does not
// wait for the collector. A wrong variable is logged, and the gateway runs without traces,
// because these variables are often set for many services at once.
func Open(ctx context.Context, o Options) *Tracing {
	on, err := wanted()
	if err != nil {
		o.Log.Warn("cannot start tracing; the gateway runs without it", "error", err)
	}
	if !on {
		return nil
	}
	client, err := otlptracehttp.New(ctx)
	if err != nil {
		o.Log.Warn("cannot start tracing; the gateway runs without it", "error", err)
		return nil
	}
	choice, err := samplerFromEnvironment()
	if err != nil {
		o.Log.Warn("a setting of tracing is not valid; its default is used", "error", err)
	}
	service, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("gateway"), semconv.ServiceVersion(cmp.Or(o.Version, "dev"))),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv()) // OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
	if err != nil {
		o.Log.Warn("cannot read all resource attributes of spans; spans have the others", "error", err)
	}
	sent := newExporter(client, o.Log, o.Registry)
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(service),
		sdktrace.WithSampler(sampler{choice}),
		sdktrace.WithRawSpanLimits(spanLimits()),
		sdktrace.WithSpanProcessor(sent.counted(sdktrace.NewBatchSpanProcessor(sent))),
	)
	o.Log.Info("tracing has started; spans are sent to a collector")
	return &Tracing{provider: provider, tracer: provider.Tracer("gateway"), exporter: sent}
}

// Flush sends the queued spans until ctx ends.
func (t *Tracing) Flush(ctx context.Context) { _ = t.provider.ForceFlush(ctx) }

// Close sends the queued spans and stops tracing. Spans that are not sent when ctx ends are
// lost.
func (t *Tracing) Close(ctx context.Context) error {
	defer t.exporter.cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("cannot send the last spans: %w", err)
	}
	return nil
}
