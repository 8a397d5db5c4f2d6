package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"gateway/api"
)

// lobby answers on the listeners while the gateway opens what it needs, which
// may take as long as Secrets Manager is down. Then it leaves them to the
// gateway.
type lobby struct {
	server *http.Server
	left   sync.WaitGroup
	once   sync.Once
}

func openLobby(listeners []*drainListener) *lobby {
	l := &lobby{server: &http.Server{Handler: api.Starting(), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}}
	for _, listener := range listeners {
		guest := &guestListener{listener, make(chan struct{}), sync.Once{}}
		l.left.Go(func() { _ = l.server.Serve(guest) })
	}
	return l
}

// close lets the requests end that are being answered. It may be called again.
func (l *lobby) close() error {
	l.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if l.server.Shutdown(ctx) != nil {
			_ = l.server.Close() // whoever has connected and says nothing
		}
		l.left.Wait()
	})
	return nil
}

// guestListener takes connections of a listener that stays open when it closes.
type guestListener struct {
	host *drainListener
	gone chan struct{}
	once sync.Once
}

// Accept implements net.Listener.
func (g *guestListener) Accept() (net.Conn, error) {
	select {
	case <-g.gone:
		return nil, net.ErrClosed
	default:
	}
	select {
	case conn := <-g.host.fetched:
		return conn, nil
	case <-g.host.stopped:
		return nil, net.ErrClosed
	case <-g.gone:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (g *guestListener) Close() error {
	g.once.Do(func() { close(g.gone) })
	return nil
}

// Addr implements net.Listener.
func (g *guestListener) Addr() net.Addr { return g.host.Addr() }
