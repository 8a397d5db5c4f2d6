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

// Link begins the span of a call that several requests share, and returns a context with it.
// The span is the root of a trace of its own, and it and the spans of the requests link to
// each other. It ends when call ends. If no request is sampled, there is no span. Link is a
// value for scoring.BatchOptions.Link.
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

// Scorer returns a Scorer that makes a span for each call of next, and passes the trace
// context on. Calls of traces that are not sampled have no span.
func (t *Tracing) Scorer(next predict.Scorer) predict.Scorer { return &scorer{t, next} }

type scorer struct {
	tracing *Tracing
	next    predict.Scorer
}

// Score implements predict.Scorer.
func (s *scorer) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
	if of := trace.SpanContextFromContext(ctx); !of.IsSampled() {
		if of.IsValid() {
			ctx = s.outgoing(ctx) // pass on that the trace is not sampled
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

// carrier holds the two header fields of a trace context.
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

// kindOf returns the class of an error. The text of an error may contain what a trace must
// not.
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
