package main

import (
	"net"
	"net/http"
	"sync"
	"testing"
)

// points are the moments of a rotation at which it has effects or may fail: before and after
// each call of Secrets Manager, and before and after each message to the database. At one of
// them something happens.
type points struct {
	mu      sync.Mutex
	count   int
	at      int // the number of the point
	happens func()
	running sync.WaitGroup // happens is called
}

// arm lets something happen at point n, counted from now; none: nil. It waits until what
// happens at a point before has ended.
func (p *points) arm(n int, happens func()) {
	p.mu.Lock()
	p.count, p.at, p.happens = 0, n, happens
	p.mu.Unlock()
	p.running.Wait()
}

// passed returns how many points there were since arm.
func (p *points) passed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

func (p *points) point() {
	p.mu.Lock()
	happens := p.happens
	if p.count != p.at {
		happens = nil
	}
	if happens != nil {
		p.running.Add(1)
		defer p.running.Done()
	}
	p.count++
	p.mu.Unlock()
	if happens != nil {
		happens()
	}
}

// around makes points of the calls of a service.
func (p *points) around(service http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.point()
		service.ServeHTTP(w, r)
		p.point()
	})
}

// before makes points of the messages to a server. It returns the address to send them to.
func (p *points) before(t *testing.T, server string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer client.Close()
				upstream, err := net.Dial("tcp", server)
				if err != nil {
					return
				}
				defer upstream.Close()
				serving.Go(func() { copyAll(client, upstream, p.point, func() {}); _ = client.Close() })
				copyAll(upstream, client, func() {}, p.point)
			})
		}
	})
	return listener.Addr().String()
}

// copyAll copies what is read, with a call before and after each piece is written.
func copyAll(to, from net.Conn, before, after func()) {
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		if n > 0 {
			before()
			if _, err := to.Write(piece[:n]); err != nil {
				return
			}
			after()
		}
		if err != nil {
			return
		}
	}
}
