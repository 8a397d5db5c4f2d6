package httpserver

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// StartupServer answers on the listeners while the gateway waits for something
// that it needs, such as Secrets Manager. A start that does not wait never opens
// it: early connections are answered by the gateway a moment later.
type StartupServer struct {
	listeners   []*Listener
	server      *http.Server
	serving     sync.WaitGroup
	opens, ends sync.Once
}

// NewStartupServer makes a server that answers with the handler.
func NewStartupServer(handler http.Handler, listeners ...*Listener) *StartupServer {
	return &StartupServer{listeners: listeners,
		server: &http.Server{Handler: handler, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 4 << 10}}
}

// Open starts to answer. It may be called again.
func (s *StartupServer) Open() {
	s.opens.Do(func() {
		for _, listener := range s.listeners {
			borrowed := &borrowedListener{Listener: listener, closed: make(chan struct{})}
			s.serving.Go(func() { _ = s.server.Serve(borrowed) })
		}
	})
}

// Close ends the server after the requests that are being answered, within a
// second. The listeners stay open. It may be called again.
func (s *StartupServer) Close() error {
	s.ends.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if s.server.Shutdown(ctx) != nil {
			_ = s.server.Close() // connections without a request
		}
		s.serving.Wait()
	})
	return nil
}

// borrowedListener accepts connections of a listener and leaves it open when it
// is closed.
type borrowedListener struct {
	*Listener
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (b *borrowedListener) Accept() (net.Conn, error) {
	select {
	case <-b.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case conn := <-b.accepted:
		return conn, nil
	case <-b.stopped:
		return nil, net.ErrClosed
	case <-b.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (b *borrowedListener) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}
