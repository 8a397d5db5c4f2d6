package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// target has the requests of a run and the check of their answers.
type target struct {
	addr string
	// request returns the n-th request with its header. It must be safe for concurrent
	// use.
	request func(n int) []byte
	// right reports whether the answer to the n-th request is right. Nil: all answers are.
	right func(n int, m *message) bool
	// kind returns the kind of the n-th request, for counting. May be nil.
	kind func(n int) uint8
	// keep reports whether a record is kept, for runs with many requests. It must be safe
	// for concurrent use. Nil: all are kept.
	keep func(*record) bool
}

// run is a load under way: a closed loop if its rate is 0, else an open one.
type run struct {
	target target
	rate   float64
	most   int // maximum of connections
	began  time.Time
	sent   atomic.Int64
	ending atomic.Bool // no further requests are sent
	work   sync.WaitGroup

	mu      sync.Mutex
	conns   []*conn
	free    []*conn
	backlog []time.Duration // due times of requests for which no connection was free
	wrong   []string        // the first wrong answers
	lost    []string        // the first requests without one
}

// conn is a connection and the goroutine that reads from it.
type conn struct {
	run     *run
	from    net.IP
	records records

	mu   sync.Mutex
	tcp  net.Conn
	in   *reader
	due  time.Duration // of the request in flight; negative: none
	late time.Duration // from due until it was sent
	n    int           // its number
	gone bool
}

// start starts a load over a maximum number of connections. Each connection has a goroutine
// that reads. In an open loop one thread writes the requests when they are due, and opens a
// connection when none is free, like clients do: the server would close unused ones.
func start(ctx context.Context, t target, conns int, rate float64) (*run, error) {
	r := &run{target: t, rate: rate, most: conns, began: time.Now()}
	first := conns
	if rate > 0 {
		first = 1
	}
	for range first {
		c, err := r.connect(ctx)
		if err != nil {
			r.close()
			return nil, err
		}
		r.free = append(r.free, c)
	}
	r.began = time.Now()
	if rate > 0 {
		r.work.Go(func() { r.pace(ctx) })
		return r, nil
	}
	for range conns {
		r.next(ctx, r.now())
	}
	return r, nil
}

// connect opens another connection.
func (r *run) connect(ctx context.Context) (*conn, error) {
	r.mu.Lock()
	c := &conn{run: r, from: source(len(r.conns)), due: -1}
	r.conns = append(r.conns, c)
	r.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone { // the run has ended meanwhile
		return nil, net.ErrClosed
	}
	if err := c.dial(ctx); err != nil {
		c.gone = true
		return nil, err
	}
	r.work.Go(func() { c.read(ctx) })
	return c, nil
}

// source distributes connections over addresses of the loopback interface, because one address
// has about 28,000 ports.
func source(i int) net.IP {
	const each = 20_000
	if i < each {
		return nil
	}
	return net.IPv4(127, 0, 0, byte(1+i/each))
}

func dialFrom(ctx context.Context, from net.IP, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	if from != nil {
		d.LocalAddr = &net.TCPAddr{IP: from}
	}
	return d.DialContext(ctx, "tcp", addr)
}

func (r *run) now() time.Duration { return time.Since(r.began) }

// pace sends requests when they are due. It has a thread of its own, because the sleep of a
// goroutine may end a millisecond late.
func (r *run) pace(ctx context.Context) {
	defer ownThread()()
	gap := float64(time.Second) / r.rate
	for i := 0; !r.ending.Load() && ctx.Err() == nil; i++ {
		due := time.Duration(float64(i) * gap)
		for r.now() < due && !r.ending.Load() {
			pause(min(due-r.now(), 50*time.Millisecond))
		}
		r.next(ctx, due)
	}
}

// next sends one request on a free or a new connection. If there is none, it adds the request
// to the backlog.
func (r *run) next(ctx context.Context, due time.Duration) {
	if r.ending.Load() {
		return
	}
	r.mu.Lock()
	if n := len(r.free); n > 0 {
		c := r.free[n-1]
		r.free = r.free[:n-1]
		r.mu.Unlock()
		c.send(due)
		return
	}
	if len(r.conns) >= r.most {
		r.backlog = append(r.backlog, due)
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()
	if c, err := r.connect(ctx); err == nil {
		c.send(due)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.backlog = append(r.backlog, due)
}

// again sends the next request of the backlog on a connection that has its answer.
func (r *run) again(c *conn) {
	if r.ending.Load() {
		return
	}
	due := r.now()
	if r.rate > 0 {
		r.mu.Lock()
		if len(r.backlog) == 0 {
			r.free = append(r.free, c)
			r.mu.Unlock()
			return
		}
		due = r.backlog[0]
		r.backlog = r.backlog[1:]
		r.mu.Unlock()
	}
	c.send(due)
}

// patience is the time-out of an answer.
const patience = 20 * time.Second

// stop stops sending, waits for the answers to the requests in flight, and returns the records
// of all requests. A request without an answer has status 0.
func (r *run) stop() records {
	r.ending.Store(true)
	for wait := time.Now().Add(patience); time.Now().Before(wait) && r.busy(); {
		time.Sleep(5 * time.Millisecond)
	}
	now := r.now()
	r.close()
	r.work.Wait()
	var all records
	for _, c := range r.conns {
		all = append(all, c.records...)
		if c.due >= 0 {
			r.sample(&r.lost, "request %d, due at %v and sent %v later: no answer", c.n, c.due, c.late)
			all = append(all, record{due: c.due, took: now - c.due, kind: r.kind(c.n)})
		}
	}
	if len(r.backlog) > 0 {
		r.sample(&r.lost, "%d never sent, as no connection was free, the first due at %v", len(r.backlog), r.backlog[0])
	}
	for _, due := range r.backlog {
		all = append(all, record{due: due, took: now - due})
	}
	return all
}

// sample records the first few messages of a kind.
func (r *run) sample(of *[]string, format string, args ...any) {
	const most = 3
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(*of) < most {
		*of = append(*of, fmt.Sprintf("after %v, ", r.now().Round(time.Millisecond))+fmt.Sprintf(format, args...))
	}
}

func (r *run) kind(n int) uint8 {
	if r.target.kind == nil {
		return 0
	}
	return r.target.kind(n)
}

func (r *run) busy() bool {
	return slices.ContainsFunc(r.all(), func(c *conn) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.due >= 0
	})
}

func (r *run) all() []*conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.conns)
}

// close ends a run without its results.
func (r *run) close() {
	r.ending.Store(true)
	for _, c := range r.all() {
		c.mu.Lock()
		c.gone = true
		if c.tcp != nil {
			_ = c.tcp.Close()
		}
		c.mu.Unlock()
	}
}

func (c *conn) dial(ctx context.Context) error {
	tcp, err := dialFrom(ctx, c.from, c.run.target.addr)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", c.run.target.addr, err)
	}
	c.tcp, c.in = tcp, newReader(tcp)
	return nil
}

func (c *conn) send(due time.Duration) {
	n := int(c.run.sent.Add(1)) - 1
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due, c.n, c.late = due, n, c.run.now()-due
	// The reader gets the error of a failed write.
	_, _ = c.tcp.Write(c.run.target.request(n))
}

// read reads answers. It opens a new connection when one has ended.
func (c *conn) read(ctx context.Context) {
	for {
		m, err := c.in.next()
		now := c.run.now()
		c.mu.Lock()
		due, n, late := c.due, c.n, c.late
		if c.gone {
			c.mu.Unlock()
			return
		}
		c.due = -1
		c.mu.Unlock()
		if due >= 0 {
			got := record{due: due, took: now - due, late: late, kind: c.run.kind(n)}
			if err == nil {
				got.status = int16(m.status())
				if c.run.target.right != nil && !c.run.target.right(n, &m) {
					got.wrong = true
					c.run.sample(&c.run.wrong, "request %d: %s %.400s", n, m.line, m.body)
				}
			} else {
				c.run.sample(&c.run.lost, "request %d, due at %v and sent %v later: %v", n, due, late, err)
			}
			if c.run.target.keep == nil || c.run.target.keep(&got) {
				c.records = append(c.records, got)
			}
		}
		if (err != nil || m.close) && !c.renew(ctx) {
			return
		}
		if due >= 0 {
			c.run.again(c)
		}
	}
}

// renew replaces a connection that has ended, whether it has a request or not.
func (c *conn) renew(ctx context.Context) bool {
	for {
		c.mu.Lock()
		_ = c.tcp.Close()
		gone := c.gone || ctx.Err() != nil
		var err error
		if !gone {
			err = c.dial(ctx)
		}
		again := c.due // of a request that was written to the ended connection
		if err == nil && !gone && again >= 0 {
			_, _ = c.tcp.Write(c.run.target.request(c.n))
		}
		c.mu.Unlock()
		switch {
		case gone:
			return false
		case err == nil:
			return true
		case c.run.ending.Load():
			return false
		}
		pause(10 * time.Millisecond)
	}
}
