package http1

import (
	"cmp"
	"context"
	"errors"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Options are the settings of a Listener. Handler and Paths are required.
type Options struct {
	Handler http.Handler
	// Paths are the paths of plain requests. They contain no characters that are escaped.
	Paths []string
	// Leave is called before each request. If it returns true, the request and its
	// connection are passed to net/http. Nil: it always returns false.
	Leave func() bool
	// IdleTimeout is how long a connection is kept open without a request. It may be kept up
	// to an eighth longer. Zero: two minutes.
	IdleTimeout time.Duration
	// ReadTimeout is how long a client may take from connecting to its first
	// request. Zero: ten seconds.
	ReadTimeout time.Duration
	// WriteTimeout bounds the time from a request until its response has been written. It is
	// enforced within twice that time. Zero: a minute.
	WriteTimeout time.Duration
	// ErrorLog gets the panics of handlers. Nil: the standard logger.
	ErrorLog *log.Logger
}

// Listener answers plain requests. Its Accept returns the connections with other requests.
type Listener struct {
	net.Listener
	o      Options
	paths  map[string]string
	others chan net.Conn // for Accept
	begin  sync.Once
	closed chan struct{}
	close  func() error
	broken chan error // error of Accept of the listener below

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// Listen makes a Listener over another one. It accepts connections of that one from its first
// Accept on, until an Accept of that one fails.
func Listen(inner net.Listener, o Options) *Listener {
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 2*time.Minute)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, 10*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, time.Minute)
	if o.Leave == nil {
		o.Leave = func() bool { return false }
	}
	l := &Listener{Listener: inner, o: o, paths: make(map[string]string), others: make(chan net.Conn),
		closed: make(chan struct{}), broken: make(chan error, 1), conns: make(map[*conn]struct{})}
	for _, path := range o.Paths {
		l.paths[path] = path
	}
	l.close = sync.OnceValue(func() error {
		close(l.closed)
		return inner.Close()
	})
	return l
}

func (l *Listener) accept() {
	for {
		tcp, err := l.Listener.Accept()
		if err != nil {
			l.broken <- err
			return
		}
		c := l.newConn(tcp)
		l.mu.Lock()
		l.conns[c] = struct{}{}
		l.mu.Unlock()
		go c.serve()
	}
}

// Accept implements net.Listener. It returns connections with a request that is not plain.
// After the listener below is closed there may be further ones, until Close.
func (l *Listener) Accept() (net.Conn, error) {
	l.begin.Do(func() { go l.accept() })
	for {
		select {
		case conn := <-l.others:
			return conn, nil
		case err := <-l.broken:
			if !errors.Is(err, net.ErrClosed) {
				return nil, err
			}
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}
}

// Close implements net.Listener. It closes no connection; Shutdown does.
func (l *Listener) Close() error { return l.close() }

// handOff passes a connection to Accept.
func (l *Listener) handOff(conn net.Conn) {
	select {
	case l.others <- conn:
	case <-l.closed:
		_ = conn.Close()
	}
}

// Open returns the number of connections that this package reads.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

func (l *Listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// Shutdown closes the connections that this package reads, each when its requests have been
// answered. When ctx ends, it closes all of them and returns the error of ctx. A request that
// arrives meanwhile is lost, so Options.Leave should return true for a while before: net/http
// then asks clients to close their connections.
func (l *Listener) Shutdown(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		conns := l.all()
		for _, c := range conns {
			if c.open.Load() == 0 || ctx.Err() != nil {
				_ = c.Conn.Close()
			}
		}
		switch {
		case len(conns) == 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (l *Listener) all() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.conns))
}

func (l *Listener) logf(format string, args ...any) {
	if l.o.ErrorLog != nil {
		l.o.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}
