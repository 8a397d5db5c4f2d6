package wire

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

// Options are the settings of a Pool.
type Options struct {
	// Dial opens a connection that is ready for a request. For https it has done the
	// TLS handshake.
	Dial func(ctx context.Context) (net.Conn, error)
	// MaxIdle is the maximum number of idle connections. Each is closed IdleTime after
	// its last answer.
	MaxIdle  int
	IdleTime time.Duration
	// MaxHeader and MaxBody bound an answer, in bytes.
	MaxHeader, MaxBody int
}

// Pool keeps connections to one host. It is safe for concurrent use.
type Pool struct {
	o Options

	mu    sync.Mutex
	idle  []*Conn // in the order of their last use
	timer *time.Timer
}

// NewPool makes a pool without connections.
func NewPool(o Options) *Pool { return &Pool{o: o} }

// Do sends a request and returns its answer, whatever its status. The caller must call
// Release or Discard. An error means that there is no answer; it is ctx.Err() if ctx
// has ended.
func (p *Pool) Do(ctx context.Context, request []byte, mark Mark) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := p.reuse(mark)
	if c == nil {
		var err error
		if c, err = p.open(ctx); err != nil {
			return nil, err
		}
	}
	c.marks.Add(mark)
	if err := c.roundTrip(ctx, request); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// reuse returns an idle connection that the mark allows, or nil. It prefers the most
// recently used one, which is the least likely to be closed by the server; the others
// reach IdleTime. It skips connections that the server has closed or sent bytes on.
func (p *Pool) reuse(mark Mark) *Conn {
	for {
		c := p.take(mark)
		if c == nil || c.alive() {
			return c
		}
	}
}

// take removes and returns the most recently used idle connection that the mark allows.
func (p *Pool) take(mark Mark) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.idle) - 1; i >= 0; i-- {
		if c := p.idle[i]; c.marks.Allow(mark) {
			p.idle = slices.Delete(p.idle, i, i+1)
			return c
		}
	}
	return nil
}

func (p *Pool) open(ctx context.Context) (*Conn, error) {
	conn, err := p.o.Dial(ctx)
	if ctx.Err() != nil {
		if err == nil {
			_ = conn.Close() // nothing was sent
		}
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return newConn(p, conn), nil
}

// keep adds a connection to the idle ones.
func (p *Pool) keep(c *Conn) {
	c.since = time.Now()
	p.mu.Lock()
	if len(p.idle) >= p.o.MaxIdle {
		p.mu.Unlock()
		c.close()
		return
	}
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(p.o.IdleTime, p.expire)
	}
	p.mu.Unlock()
}

// expire closes the connections that have been idle for IdleTime, and sets the timer for
// the next one. One timer is enough because the connections are in the order of their
// last use.
func (p *Pool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := 0
	for old < len(p.idle) && time.Since(p.idle[old].since) >= p.o.IdleTime {
		p.idle[old].close()
		old++
	}
	n := copy(p.idle, p.idle[old:])
	clear(p.idle[n:])
	p.idle, p.timer = p.idle[:n], nil
	if n > 0 {
		p.timer = time.AfterFunc(p.o.IdleTime-time.Since(p.idle[0].since), p.expire)
	}
}

// Close closes the idle connections. The pool can still be used.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		c.close()
	}
	clear(p.idle)
	p.idle = p.idle[:0]
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}
