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

// Options say what is answered here, and how. Handler and Paths are required.
type Options struct {
	Handler http.Handler
	// Paths are those whose requests are answered here. They need no escaping.
	Paths []string
	// Leave is asked before each request whether it is to be left to the other
	// server. Nil: it never is.
	Leave func() bool
	// IdleTimeout is how long a connection is kept without a request, or up to an
	// eighth longer. Zero: two minutes.
	IdleTimeout time.Duration
	// ReadTimeout is how long a client may take from connecting to its first
	// request. Zero: ten seconds.
	ReadTimeout time.Duration
	// WriteTimeout is how long it may take from a request until its answer has
	// been read, the handling included; it is enforced within twice that time.
	// Zero: a minute.
	WriteTimeout time.Duration
	// ErrorLog hears of handlers that panic. Nil: the standard logger.
	ErrorLog *log.Logger
}

// Listener answers what is plain, and hands the other connections on, as
// net.Listener.
type Listener struct {
	net.Listener
	o      Options
	paths  map[string]string
	others chan net.Conn
	begin  sync.Once
	closed chan struct{}
	close  func() error
	broken chan error // what ended the listener below

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// Listen takes the connections of a listener, from the first Accept on and
// until an Accept of that one fails.
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

// Accept implements net.Listener: it returns connections with a request that
// is not answered here. Until Close there may be some, also when the listener
// below has come to its end.
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

// Close implements net.Listener. It ends no connection; Shutdown does.
func (l *Listener) Close() error { return l.close() }

// handOff hands a connection to the other server.
func (l *Listener) handOff(conn net.Conn) {
	select {
	case l.others <- conn:
	case <-l.closed:
		_ = conn.Close()
	}
}

// Open returns how many connections are answered here.
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

// Shutdown closes the connections that are answered here as soon as they have
// their answers, or all of them when ctx ends, and returns its error then. A
// request that is only just coming is lost, so first of all clients should be
// told to go elsewhere, which is the other server's part (Options.Leave).
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
