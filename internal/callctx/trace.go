package callctx

import "context"

// Trace holds the headers of W3C Trace Context that a call of a remote model
// sends: traceparent and tracestate.
type Trace struct {
	Parent, State string
}

type traceKey struct{}

// WithTrace returns a context whose calls send t.
func WithTrace(ctx context.Context, t Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf returns the headers that a call sends; the zero Trace if it sends none.
func TraceOf(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}
