package tracing

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"gateway/internal/callctx"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Link begins the span of a call that several requests share. Such a call is in
// no one's trace: its span begins a trace of its own, and is linked with the
// spans of the requests, in both directions. It ends with the call's context.
// Where no request's trace is kept there is none. It fits scoring.BatchOptions.
func (t *Tracing) Link(call context.Context, requests []context.Context) context.Context {
	var links []trace.Link
	for _, request := range requests {
		if of := trace.SpanContextFromContext(request); of.IsSampled() {
			links = append(links, trace.Link{SpanContext: of})
		}
	}
	if links == nil {
		return call
	}
	call, span := t.tracer.Start(call, "batch", trace.WithNewRoot(), trace.WithLinks(links...),
		trace.WithAttributes(requestsKey.Int(len(requests))))
	for _, request := range requests {
		trace.SpanFromContext(request).AddLink(trace.Link{SpanContext: span.SpanContext()})
	}
	context.AfterFunc(call, func() { span.End() })
	return call
}

// Scorer gives each call of a remote model a span, and sends the trace's
// context with it. Calls that belong to no trace that is kept have none.
func (t *Tracing) Scorer(next predict.Scorer) predict.Scorer { return &scorer{t, next} }

type scorer struct {
	tracing *Tracing
	next    predict.Scorer
}

// Score implements predict.Scorer.
func (s *scorer) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
	if of := trace.SpanContextFromContext(ctx); !of.IsSampled() {
		if of.IsValid() {
			ctx = s.outgoing(ctx) // those behind us shall not keep it either
		}
		return s.next.Score(ctx, rows, explain)
	}
	ctx, span := s.tracing.tracer.Start(ctx, "score", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(rowsKey.Int(len(rows))))
	defer span.End()
	scores, err := s.next.Score(s.outgoing(ctx), rows, explain)
	if err != nil {
		span.SetAttributes(semconv.ErrorTypeKey.String(kindOf(err)))
		span.SetStatus(codes.Error, "")
		return scores, err
	}
	span.SetAttributes(modelKey.String(scores.Model))
	return scores, nil
}

func (s *scorer) outgoing(ctx context.Context) context.Context {
	var c carrier
	s.tracing.context.Inject(ctx, &c)
	return callctx.WithTrace(ctx, callctx.Trace{Parent: c.parent, State: c.state})
}

// carrier takes the two headers of a trace context.
type carrier struct{ parent, state string }

var _ propagation.TextMapCarrier = (*carrier)(nil)

// Get implements propagation.TextMapCarrier.
func (c *carrier) Get(key string) string {
	switch key {
	case "traceparent":
		return c.parent
	case "tracestate":
		return c.state
	}
	return ""
}

// Set implements propagation.TextMapCarrier.
func (c *carrier) Set(key, value string) {
	switch key {
	case "traceparent":
		c.parent = value
	case "tracestate":
		c.state = value
	}
}

// Keys implements propagation.TextMapCarrier.
func (c *carrier) Keys() []string { return []string{"traceparent", "tracestate"} }

// kindOf names an error by its class: its text may say more than a trace should.
func kindOf(err error) string {
	var known *failure.Error
	switch errors.As(err, &known); {
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded), known != nil && known.Kind == failure.Deadline:
		return "deadline"
	case known == nil:
		return "internal"
	case known.Throttled:
		return "throttled"
	case known.Kind == failure.Unavailable:
		return "unavailable"
	case known.Kind == failure.BadModel, known.Kind == failure.Invalid:
		return "bad_model"
	}
	return "internal"
}
