package wire

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMarksThatAreTooCloseAreNotAllowed(t *testing.T) {
	var m Marks
	for _, value := range []uint8{1, 2, 3, 4, 5} {
		m.Add(Mark{Value: value})
	}
	for _, tt := range []struct {
		mark Mark
		want bool
	}{
		{Mark{5, 0}, true}, {Mark{5, 1}, false}, {Mark{4, 1}, true}, {Mark{4, 2}, false},
		{Mark{2, 3}, true}, {Mark{2, 4}, false}, {Mark{1, 4}, true}, {Mark{1, 200}, true}, {Mark{9, 4}, true},
	} {
		if got := m.Allow(tt.mark); got != tt.want {
			t.Errorf("%+v after 1, 2, 3, 4, 5: %v", tt.mark, got)
		}
	}
	if new(Marks).Allow(Mark{0, 4}) != true {
		t.Error("the first request on a connection is not allowed")
	}
}

func TestAConnectionIsNotUsedTwiceForTheSameMark(t *testing.T) {
	h := saying(fine, 1<<20)
	defer h.close()
	pool := h.pool()
	for _, step := range []struct {
		value  uint8
		opened int
	}{{1, 1}, {2, 1}, {3, 1}, {3, 2}, {2, 2}, {1, 2}, {1, 2}, {1, 3}} {
		c, err := pool.Do(t.Context(), []byte(request), Mark{step.value, 2})
		if err != nil {
			t.Fatal(err)
		}
		c.Release()
		if opened, _ := h.seen(); opened != step.opened {
			t.Fatalf("%d connections for mark %d, want %d", opened, step.value, step.opened)
		}
	}
}

// TestBytesWithoutARequestCloseAConnection has a server that answers, and then
// sends a little more: it must be noticed although the connection was in use just
// now, in clear and under TLS, where the bytes may have been read already.
func TestBytesWithoutARequestCloseAConnection(t *testing.T) {
	for _, secured := range []bool{false, true} {
		for _, more := range []string{fine, "H", "\n"} {
			for _, atOnce := range []bool{false, true} {
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					conn, _, err := w.(http.Hijacker).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					defer conn.Close()
					if atOnce {
						io.WriteString(conn, fine+more)
					} else {
						io.WriteString(conn, fine)
						io.WriteString(conn, more)
					}
					io.Copy(io.Discard, conn) // until the other side closes it
				})
				server := httptest.NewUnstartedServer(h)
				dial := new(net.Dialer).DialContext
				if secured {
					server.StartTLS()
					dial = (&tls.Dialer{Config: server.Client().Transport.(*http.Transport).TLSClientConfig}).DialContext
				} else {
					server.Start()
				}
				opened := 0
				pool := NewPool(Options{Dial: func(ctx context.Context) (net.Conn, error) {
					opened++
					return dial(ctx, "tcp", server.Listener.Addr().String())
				}, MaxIdle: 2, IdleTime: time.Minute, MaxHeader: 4096, MaxBody: 4096})
				for range 3 {
					c, err := pool.Do(t.Context(), []byte(request), Mark{})
					if err != nil || string(c.Body) != "0.5" {
						t.Fatalf("TLS %v, %q: got %+v, %v", secured, more, c, err)
					}
					c.Release()
					for len(pool.idle) > 0 && c.alive() {
						runtime.Gosched() // until the bytes have arrived
					}
				}
				if opened != 3 {
					t.Errorf("TLS %v, %q: %d connections for three calls", secured, more, opened)
				}
				pool.Close()
				server.Close()
			}
		}
	}
}

// TestBytesBehindChunksCloseAConnection has an answer that net/http reads, which ends
// where a buffer of net/http's ends, and more after it in the same piece.
func TestBytesBehindChunksCloseAConnection(t *testing.T) {
	const chunks = "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n0.5\r\n0\r\n\r\n"
	head := "HTTP/1.1 200 OK\r\nX: "
	answer := head + strings.Repeat("x", 4096-len(head)-len(chunks)) + chunks
	h := &host{answer: func(to net.Conn, nth int) bool {
		if nth == 1 { // large, so that the connection's buffer is
			_, err := fmt.Fprintf(to, "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n%20000d", 1)
			return err == nil
		}
		_, err := io.WriteString(to, answer+fine)
		return err == nil
	}}
	defer h.close()
	pool := h.pool()
	pool.o.MaxHeader = 8192
	for call, body := range []int{20000, 3} {
		c, err := pool.Do(t.Context(), []byte(request), Mark{})
		if err != nil || len(c.Body) != body {
			t.Fatalf("call %d: %v", call, err)
		}
		c.Release()
	}
	if pool.count() > 0 {
		t.Error("the connection was kept")
	}
}
