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

// profiles are Go's own (net/http/pprof), as `go tool pprof` reads them. They
// have a route of ours, because Go's default multiplexer, where they register
// themselves, is served nowhere.
func (a *api) profiles(r chi.Router) {
	r.Method(http.MethodGet, "/", edge.Handler(a.profile))
	r.Method(http.MethodGet, "/{profile}", edge.Handler(a.profile))
	r.Method(http.MethodPost, "/symbol", http.HandlerFunc(pprof.Symbol))
}

// profile answers with a profile, or with the list of profiles. The command line,
// which net/http/pprof also serves, is left out: it may contain secrets.
func (a *api) profile(w http.ResponseWriter, r *http.Request) error {
	// A profile takes as long as it was asked to. The deadline for reading a
	// request would look as if the caller had left; the one for writing is moved
	// by pprof itself.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	w.Header().Set("Connection", "close") // that deadline must not outlive the answer

	// It also ends when the server shuts down, which must not wait for it.
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
