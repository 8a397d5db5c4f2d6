package wire

import (
	"context"
	"net"
	"slices"
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
// its memory are the caller's until Release or Discard. An error means that there
// is no answer; it is the context's where that has ended.
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

// reuse returns an idle connection that the mark allows, or nil. The newest is
// the most likely to be alive, and lets the others grow old. Each is looked at
// before it is used: a server that has closed it, or that has sent bytes
// without a request, shows that before a request is sent.
func (p *Pool) reuse(mark Mark) *Conn {
	for {
		c := p.take(mark)
		if c == nil || c.alive() {
			return c
		}
	}
}

// take removes the newest idle connection that the mark allows.
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
