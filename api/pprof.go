package api

import (
	"context"
	"net/http"
	"net/http/pprof"
	runtimepprof "runtime/pprof"
	"time"

	"gateway/api/edge"

	"github.com/go-chi/chi/v5"
)

// profiles adds routes for the profiles of net/http/pprof, which `go tool pprof` reads. That
// package registers them with Go's default multiplexer, which the gateway does not serve.
func (a *api) profiles(r chi.Router) {
	r.Method(http.MethodGet, "/", edge.Handler(a.profile))
	r.Method(http.MethodGet, "/{profile}", edge.Handler(a.profile))
	r.Method(http.MethodPost, "/symbol", http.HandlerFunc(pprof.Symbol))
}

// profile sends a profile, or the list of profiles. It does not serve the command line, as
// net/http/pprof does, because that may contain secrets.
func (a *api) profile(w http.ResponseWriter, r *http.Request) error {
	// A profile takes as long as the request says. At the deadline for reading the request,
	// the server would take the caller for gone. pprof moves the deadline for writing.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	w.Header().Set("Connection", "close") // the changed deadline must not remain for a next request

	// The profile ends when the server shuts down, so that the server does not wait for it.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	down, done := a.edge.ShuttingDown(r), make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-down:
			cancel()
		case <-done:
		}
	}()
	r = r.WithContext(ctx)
	switch name := chi.URLParam(r, "profile"); name {
	case "":
		pprof.Index(w, r)
	case "profile":
		pprof.Profile(w, r)
	case "trace":
		pprof.Trace(w, r)
	case "symbol":
		pprof.Symbol(w, r)
	default:
		if runtimepprof.Lookup(name) == nil {
			return edge.Refuse(edge.NotFound, "there is no such profile")
		}
		pprof.Handler(name).ServeHTTP(w, r)
	}
	return nil
}
