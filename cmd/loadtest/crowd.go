package main

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// crowd keeps thousands of connections open beside a load of predictions. Most of them are
// idle, and some send a request byte by byte.
func crowd(ctx context.Context, o options, r *report) (err error) {
	s, err := newStage(ctx, o, r, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.endpoint.become(ctx, behaviour{Latency: 5 * time.Millisecond}); err != nil {
		return err
	}
	many, slow, long := 10_000, 1000, 15*time.Second
	if o.quick {
		many, slow, long = 2000, 200, 2*time.Second
	}
	const perSecond = 200
	r.head("A crowd")
	r.note("Open loop of %d requests a second, endpoint 5 ms: alone; beside %d idle connections, each of which has been used once; and beside %d more that send a request at a byte a second, half of them its head and half its body.", perSecond, many, slow)
	var rows [][]string
	var alone *measured
	var worst time.Duration // p99 with the other connections
	phase := func(name string) error {
		m, err := s.measure(ctx, s.gateway.process, s.through(ctx), 64, perSecond, time.Second, long)
		if err != nil {
			return err
		}
		if alone == nil {
			alone = m
		}
		worst = max(worst, m.records.quantile(.99))
		u, err := use(s.gateway.pid)
		if err != nil {
			return err
		}
		g, err := s.gateway.metrics(ctx)
		if err != nil {
			return err
		}
		rows = append(rows, []string{name, ms(m.records.quantile(.5)), ms(m.records.quantile(.99)),
			times(float64(m.records.quantile(.99)), float64(alone.records.quantile(.99))), m.failures(), mib(u.rss), rate(g["go_goroutines"]), count(u.connections)})
		return nil
	}
	if err := phase("alone"); err != nil {
		return err
	}
	quiet, err := settle(ctx, s.gateway.addr, many)
	defer quiet.close()
	if err != nil {
		return err
	}
	if err := phase("idle connections"); err != nil {
		return err
	}
	writers := dawdle(ctx, s.gateway.addr, slow)
	defer writers.stop()
	if err := phase("and slow writers"); err != nil {
		return err
	}
	writers.stop()
	usable := quiet.usable()
	if err := phase("without them"); err != nil {
		return err
	}
	r.table([]string{"predictions", "p50 ms", "p99 ms", "× alone", "not 200", "memory MiB", "goroutines", "connections"}, rows)
	if cut := writers.cut.Load(); cut > 0 {
		r.note("%d of %d slow writers were cut off, the first after %s.", cut, slow, seconds(time.Duration(writers.first.Load())))
	} else {
		r.note("None of the slow writers was cut off in that time.")
	}
	r.bounds([]bound{
		{"p99 beside the crowd, against alone", times(float64(worst), float64(alone.records.quantile(.99))), "≤ 2", worst <= 2*alone.records.quantile(.99)},
		{"idle connections that could still be used", count(usable), count(many), usable == many},
	})
	return s.gateway.alive()
}

// idlers are idle connections that have been used once.
type idlers struct {
	request []byte
	conns   []net.Conn
}

func settle(ctx context.Context, addr string, many int) (*idlers, error) {
	q := &idlers{request: []byte("GET /livez HTTP/1.1\r\nHost: load\r\n\r\n")}
	for i := range many {
		c, err := dialFrom(ctx, source(i), addr)
		if err != nil {
			return q, err
		}
		q.conns = append(q.conns, c)
		if !q.use(c) {
			return q, errors.New("the first request on an idle connection failed")
		}
	}
	return q, nil
}

func (q *idlers) use(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(q.request); err != nil {
		return false
	}
	small := reader{in: bufio.NewReaderSize(c, 1<<10)} // there are thousands
	m, err := small.next()
	return err == nil && m.status() == http.StatusOK
}

// usable sends a request on each of them and counts the connections that have an answer.
func (q *idlers) usable() (n int) {
	for _, c := range q.conns {
		if q.use(c) {
			n++
		}
	}
	return n
}

func (q *idlers) close() {
	for _, c := range q.conns {
		_ = c.Close()
	}
}

// dawdlers are connections whose requests never end.
type dawdlers struct {
	stop  func()
	cut   atomic.Int64 // by the gateway
	first atomic.Int64 // nanoseconds until it cut the first
}

func dawdle(ctx context.Context, addr string, many int) *dawdlers {
	ctx, cancel := context.WithCancel(ctx)
	d := &dawdlers{}
	var work sync.WaitGroup
	began := time.Now()
	for i := range many {
		work.Go(func() {
			c, err := dialFrom(ctx, source(i), addr)
			if err != nil {
				return
			}
			defer c.Close()
			begin := "POST /predict HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\nContent-Length: 500\r\n"
			if i%2 == 0 {
				begin += "\r\n{"
			} else {
				begin += "X-Slow: "
			}
			_, _ = c.Write([]byte(begin))
			gone := make(chan struct{})
			go func() { // an answer or the end of the connection: the gateway has cut it off
				defer close(gone)
				small := reader{in: bufio.NewReaderSize(c, 1<<10)}
				_, _ = small.next()
			}()
			for tick := time.NewTicker(time.Second); ; {
				select {
				case <-ctx.Done():
					tick.Stop()
					_ = c.Close()
					<-gone
					return
				case <-gone:
					tick.Stop()
					d.cut.Add(1)
					d.first.CompareAndSwap(0, int64(time.Since(began)))
					return
				case <-tick.C:
					_, _ = c.Write([]byte(" "))
				}
			}
		})
	}
	d.stop = sync.OnceFunc(func() { cancel(); work.Wait() })
	return d
}
