package predict

import "context"

// TraceContext is what a call of a remote model takes along of the trace that
// it belongs to: the headers traceparent and tracestate of W3C Trace Context.
type TraceContext struct {
	Parent, State string
}

type traceContext struct{}

// WithTraceContext makes the calls of a Scorer take t along.
func WithTraceContext(ctx context.Context, t TraceContext) context.Context {
	return context.WithValue(ctx, traceContext{}, t)
}

// TraceContextOf returns what a call is to take along; usually nothing.
func TraceContextOf(ctx context.Context) TraceContext {
	t, _ := ctx.Value(traceContext{}).(TraceContext)
	return t
}
