package edge

import (
	"net/http"
	"sync"
)

// shutdowns says when a server shuts down. A response that has no end needs it:
// http.Server.Shutdown waits for all requests and does not cancel their contexts.
type shutdowns struct {
	mu    sync.Mutex
	begun map[*http.Server]chan struct{}
}

// ShuttingDown returns a channel that is closed when the server of a request begins to
// shut down. It is nil for a request without an http.Server.
func (e *Edge) ShuttingDown(r *http.Request) <-chan struct{} { return e.shutdowns.of(r) }

func (s *shutdowns) of(r *http.Request) <-chan struct{} {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if begun, ok := s.begun[server]; ok {
		return begun
	}
	if s.begun == nil {
		s.begun = make(map[*http.Server]chan struct{})
	}
	begun := make(chan struct{})
	s.begun[server] = begun
	server.RegisterOnShutdown(sync.OnceFunc(func() { close(begun) })) // Shutdown may be called again
	return begun
}
