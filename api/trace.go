package api

import (
	"context"
	"net/http"
)

// Tracer gives requests a span. It has to be quick and safe for concurrent use,
// and may not keep the request.
type Tracer interface {
	// Begin begins the span of a request, in the trace that its headers name or
	// in a new one. It returns the context that carries the span, and the id of
	// the trace.
	Begin(r *http.Request) (ctx context.Context, traceID string)
	// End ends the span that ctx carries. Method and route are from closed sets;
	// rows and model are zero where the request had none.
	End(ctx context.Context, method, route string, status, rows int, model string)
}

// traced gives each request a span but those that only look after the gateway.
// It is installed where there is a Tracer, and costs nothing elsewhere.
func (a *api) traced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isProbe(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		ctx, id := a.d.Tracer.Begin(r)
		e := eventOf(ctx)
		e.trace = id
		r = r.WithContext(ctx)
		defer func() { a.d.Tracer.End(ctx, knownMethod(r.Method), routeOf(r), e.status(), e.rows, e.model) }()
		next.ServeHTTP(w, r)
	})
}
