package wire

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// loopback is an endpoint on the loopback interface that costs hardly anything.
type loopback struct {
	listener net.Listener
	opened   atomic.Int64
}

func newLoopback(tb testing.TB) *loopback {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { listener.Close() })
	l := &loopback{listener: listener}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l.opened.Add(1)
			go func() {
				defer conn.Close()
				in := make([]byte, 64<<10)
				n := 0
				for {
					m, err := conn.Read(in[n:])
					if err != nil {
						return
					}
					if n += m; !bytes.HasSuffix(in[:n], []byte("\r\n\r\n1")) {
						continue
					}
					n = 0
					if _, err := conn.Write([]byte(fine)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l
}

func (l *loopback) pool() *Pool { return l.poolOf(func(c net.Conn) net.Conn { return c }) }

func (l *loopback) poolOf(wrap func(net.Conn) net.Conn) *Pool {
	return NewPool(Options{Dial: func(ctx context.Context) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.listener.Addr().String())
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}, MaxIdle: 2, IdleTime: time.Minute, MaxHeader: 4096, MaxBody: 4096})
}

// counted counts what goes through a connection.
type counted struct {
	net.Conn
	reads, writes *int
}

func (c counted) Read(p []byte) (int, error)  { *c.reads++; return c.Conn.Read(p) }
func (c counted) Write(p []byte) (int, error) { *c.writes++; return c.Conn.Write(p) }

// BenchmarkDo is a request and its answer, the other side's part included, and
// how often the connection is read and written for it. A read that finds nothing
// waits; before that it has asked the kernel in vain, once.
func BenchmarkDo(b *testing.B) {
	var reads, writes int
	pool := newLoopback(b).poolOf(func(c net.Conn) net.Conn { return counted{c, &reads, &writes} })
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	b.ReportAllocs()
	calls := 0
	for b.Loop() {
		calls++
		c, err := pool.Do(ctx, []byte(request), Mark{})
		if err != nil {
			b.Fatal(err)
		}
		c.Release()
	}
	b.ReportMetric(float64(reads)/float64(calls), "reads/op")
	b.ReportMetric(float64(writes)/float64(calls), "writes/op")
}

// BenchmarkBare is the least that BenchmarkDo can cost: the same bytes over the
// same connection, and nothing else.
func BenchmarkBare(b *testing.B) {
	conn, err := net.Dial("tcp", newLoopback(b).listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	in := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write([]byte(request)); err != nil {
			b.Fatal(err)
		}
		if _, err := conn.Read(in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAlive looks at an idle connection.
func BenchmarkAlive(b *testing.B) {
	pool := newLoopback(b).pool()
	c, err := pool.Do(b.Context(), []byte(request), Mark{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !c.alive() {
			b.Fatal("it is dead")
		}
	}
}
