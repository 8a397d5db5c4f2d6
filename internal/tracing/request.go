package tracing

import (
	"context"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Attributes that OpenTelemetry does not define.
const (
	rowsKey     = attribute.Key("gateway.rows")
	modelKey    = attribute.Key("gateway.model")
	requestsKey = attribute.Key("gateway.requests")
	renewalKey  = attribute.Key("gateway.renewal")
	statusKey   = attribute.Key("gateway.status")
	triggerKey  = attribute.Key("gateway.trigger")
	stepKey     = attribute.Key("gateway.step")
	attemptKey  = attribute.Key("gateway.attempt")
)

// Begin begins the span of a request. The span belongs to the trace of the caller if the
// request has a W3C trace context. Begin returns a context with the span, and the id of the
// trace.
func (t *Tracing) Begin(r *http.Request) (ctx context.Context, traceID string) {
	ctx = t.context.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer))
	return ctx, span.SpanContext().TraceID().String()
}

// End ends the span of a request, which is in ctx. method and route must be from closed
// sets. rows may be 0 and model empty.
func (t *Tracing) End(ctx context.Context, method, route string, status, rows int, model string) {
	span := trace.SpanFromContext(ctx)
	defer span.End()
	if !span.IsRecording() {
		return
	}
	span.SetName(method + " " + route)
	attributes := append(make([]attribute.KeyValue, 0, 6), semconv.HTTPRequestMethodKey.String(method), semconv.HTTPRoute(route),
		semconv.HTTPResponseStatusCode(status))
	if rows > 0 {
		attributes = append(attributes, rowsKey.Int(rows))
	}
	if model != "" {
		attributes = append(attributes, modelKey.String(model))
	}
	if status >= http.StatusInternalServerError {
		attributes = append(attributes, semconv.ErrorTypeKey.String(strconv.Itoa(status)))
		span.SetStatus(codes.Error, "")
	}
	span.SetAttributes(attributes...)
}
