package httpserver

import (
	"context"
	"errors"
	"log"
	"net/http"
	"time"

	"gateway/internal/httpserver/http1"
)

// maxHeaderBytes bounds the header of a request.
const maxHeaderBytes = 32 << 10

// Options are the settings of a Server. Handler, the timeouts and Draining are
// required.
type Options struct {
	Handler http.Handler
	// PlainPaths are the paths whose requests http1 may answer.
	PlainPaths []string
	// ReadTimeout bounds the arrival of a request, header and body.
	ReadTimeout time.Duration
	// WriteTimeout bounds the time from a request's header to the end of its
	// response.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection is kept without a request.
	IdleTimeout time.Duration
	// Draining reports whether the gateway is about to stop. Each response then
	// asks the client to close its connection.
	Draining func() bool
	// ErrorLog gets what net/http logs. Nil: the standard logger.
	ErrorLog *log.Logger
}

// Server serves one listener.
type Server struct {
	listener *Listener
	front    *http1.Listener // answers plain requests, before server
	server   *http.Server
}

// New makes a server. Serve starts it.
func New(listener *Listener, o Options) *Server {
	server := &http.Server{
		Handler:           listener.boundStreams(closeWhileDraining(o.Handler, o.Draining)),
		ReadHeaderTimeout: o.ReadTimeout,
		ReadTimeout:       o.ReadTimeout, // streams set their own deadlines
		WriteTimeout:      o.WriteTimeout,
		IdleTimeout:       o.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         http1.ConnState,
		ErrorLog:          o.ErrorLog,
	}
	acceptHTTP2(server)
	front := http1.Listen(listener, http1.Options{
		Handler:      o.Handler,
		Paths:        o.PlainPaths,
		Leave:        o.Draining, // then server answers, which closes the connection
		IdleTimeout:  o.IdleTimeout,
		ReadTimeout:  o.ReadTimeout,
		WriteTimeout: o.WriteTimeout,
		ErrorLog:     o.ErrorLog,
	})
	return &Server{listener, front, server}
}

// URL returns the address by which a client on this machine reaches the server.
func (s *Server) URL() string { return s.listener.URL() }

// Listener returns the listener of the server.
func (s *Server) Listener() *Listener { return s.listener }

// Serve serves until Shutdown is called, and returns nil then.
func (s *Server) Serve() error {
	if err := s.server.Serve(s.front); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown stops the server without dropping a request. Draining must report
// true. For drainTime at most it waits until the clients have closed the
// connections that are open, and goes on accepting new ones. Then it stops
// listening and answers the requests that it has accepted. If ctx ends first, it
// closes all connections and returns an error.
func (s *Server) Shutdown(ctx context.Context, drainTime time.Duration) error {
	within := func(wait func(context.Context)) {
		ctx, cancel := context.WithTimeout(ctx, drainTime)
		defer cancel()
		wait(ctx)
	}
	within(s.listener.drain)
	s.listener.stopListening()
	// http.Server.Shutdown closes connections whose request it has just read, so
	// these requests are answered first.
	within(s.listener.settle)
	if err := errors.Join(s.front.Shutdown(ctx), s.server.Shutdown(ctx)); err != nil {
		return errors.Join(err, s.server.Close())
	}
	return nil
}

// closeWhileDraining asks clients to close their connections while the gateway
// drains. Otherwise a connection that is kept alive would be closed while its
// next request is on the way.
func closeWhileDraining(next http.Handler, draining func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if draining() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
