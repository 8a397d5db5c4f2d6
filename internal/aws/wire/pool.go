package wire

import (
	"context"
	"net"
	"sync"
	"time"
)

// Options say how a Pool connects and what it keeps.
type Options struct {
	// Dial opens a connection that is ready for a request: for https with the
	// handshake done.
	Dial func(ctx context.Context) (net.Conn, error)
	// MaxIdle connections are kept, each for IdleTime after its last answer.
	MaxIdle  int
	IdleTime time.Duration
	// MaxHeader and MaxBody bound an answer.
	MaxHeader, MaxBody int
}

// Pool keeps connections to one host. It is safe for concurrent use.
type Pool struct {
	o Options

	mu    sync.Mutex
	idle  []*Conn // the one that was used last at the end
	timer *time.Timer
}

// NewPool makes a pool; it connects when it is asked to.
func NewPool(o Options) *Pool { return &Pool{o: o} }

// Do sends a request and reads its answer, whatever its status. The answer and
// its memory are the caller's until Release. An error means that there is no
// answer; it is the context's where that has ended.
func (p *Pool) Do(ctx context.Context, request []byte) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := p.reuse()
	if c == nil {
		var err error
		if c, err = p.open(ctx); err != nil {
			return nil, err
		}
	}
	if err := c.roundTrip(ctx, request); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// busy is how short a connection may have been idle to be taken for alive.
const busy = 10 * time.Millisecond

// reuse returns an idle connection, or nil. The newest is the most likely to
// be alive, and lets the others grow old. One that its server has closed shows
// it before anything is sent, and is looked at unless it was in use just now.
func (p *Pool) reuse() *Conn {
	for {
		p.mu.Lock()
		last := len(p.idle) - 1
		if last < 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[last]
		p.idle[last] = nil
		p.idle = p.idle[:last]
		p.mu.Unlock()
		if time.Since(c.since) < busy || c.alive() {
			return c
		}
		c.close()
	}
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

// keep takes a connection back for the next request.
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

// expire closes what has been idle for too long. One timer does for all: the
// connections lie in the order of their last use.
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

// Close closes the idle connections. The pool goes on to work.
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
