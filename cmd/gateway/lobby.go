package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"gateway/api"
)

// lobby answers on the listeners while the gateway waits for something it
// needs, such as Secrets Manager. Then it leaves them to the gateway. In a start
// that does not wait it stays closed: connections that come early are answered
// by the gateway a moment later.
type lobby struct {
	listeners   []*drainListener
	server      *http.Server
	left        sync.WaitGroup
	opens, ends sync.Once
}

func newLobby(listeners []*drainListener) *lobby {
	return &lobby{listeners: listeners,
		server: &http.Server{Handler: api.Starting(), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 4 << 10}}
}

// open lets clients in. It may be called again.
func (l *lobby) open() {
	l.opens.Do(func() {
		for _, listener := range l.listeners {
			guest := &guestListener{listener, make(chan struct{}), sync.Once{}}
			l.left.Go(func() { _ = l.server.Serve(guest) })
		}
	})
}

// close lets the requests end that are being answered. It may be called again.
func (l *lobby) close() error {
	l.ends.Do(func() {
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
