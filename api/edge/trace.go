package edge

import (
	"context"
	"net/http"
)

// Tracer gives requests a span. Its methods must be fast and safe for concurrent use,
// and must not keep the request.
type Tracer interface {
	// Begin begins the span of a request, in the trace that its headers name or in a
	// new one. It returns a context with the span, and the id of the trace.
	Begin(r *http.Request) (ctx context.Context, traceID string)
	// End ends the span of ctx. Method and route are from closed sets; rows is zero and
	// model empty if the request made no prediction.
	End(ctx context.Context, method, route string, status, rows int, model string)
}

// traced gives each request a span, except probes. Without a Tracer it is not
// installed.
func (e *Edge) traced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isProbe(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		ctx, id := e.d.Tracer.Begin(r)
		q := Of(ctx)
		q.trace = id
		r = r.WithContext(ctx)
		defer func() { e.d.Tracer.End(ctx, knownMethod(r.Method), RouteOf(r), q.Status(), q.Rows, q.Model) }()
		next.ServeHTTP(w, r)
	})
}
