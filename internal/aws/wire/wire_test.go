package wire

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/callctx"
)

// request is what tests send; its body is "1".
const request = "POST / HTTP/1.1\r\nHost: stand-in\r\nContent-Length: 1\r\n\r\n1"

// host is the other side: answer writes to the connection what comes after the
// nth request on it, and closes it by returning false.
type host struct {
	answer func(to net.Conn, nth int) bool

	mu       sync.Mutex
	opened   int
	requests int
	conns    []net.Conn
}

// dial opens a pipe to the host.
func (h *host) dial(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	go h.serve(far)
	return near, nil
}

func (h *host) serve(conn net.Conn) {
	defer conn.Close()
	h.mu.Lock()
	h.opened++
	h.conns = append(h.conns, conn)
	h.mu.Unlock()
	from := bufio.NewReader(conn)
	for n := 1; ; n++ {
		r, err := http.ReadRequest(from)
		if err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		h.mu.Lock()
		h.requests++
		h.mu.Unlock()
		if !h.answer(conn, n) {
			return
		}
	}
}

func (h *host) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		c.Close()
	}
}

func (h *host) pool() *Pool {
	return NewPool(Options{Dial: h.dial, MaxIdle: 2, IdleTime: time.Minute, MaxHeader: 4096, MaxBody: 100_000})
}

// count tells how many connections are idle.
func (p *Pool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

func (h *host) seen() (opened, requests int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.opened, h.requests
}

// saying is a host that always gives the same answer, whole or by the byte.
func saying(answer string, piece int) *host {
	return &host{answer: func(to net.Conn, _ int) bool {
		for text := []byte(answer); len(text) > 0; {
			n := min(piece, len(text))
			if _, err := to.Write(text[:n]); err != nil {
				return false
			}
			text = text[n:]
		}
		return !strings.Contains(answer, "end by closing")
	}}
}

func TestAnswersAreRead(t *testing.T) {
	long := strings.Repeat("0123456789", 9000)
	tests := []struct {
		name, answer string
		status       int
		body         string
		plain, kept  bool
	}{
		{"plain", "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 3\r\n\r\n0.5", 200, "0.5", true, true},
		{"no reason, other case, blanks", "HTTP/1.1 200\r\ncontent-type:text/csv\r\nCONTENT-LENGTH:  3 \r\nConnection: Keep-Alive\r\n\r\n0.5", 200, "0.5", true, true},
		{"another 2xx", "HTTP/1.1 203 OK\r\nContent-Type: text/csv\r\nContent-Length: 3\r\n\r\n0.5", 203, "0.5", true, true},
		{"long", "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 90000\r\n\r\n" + long, 200, long, true, true},
		{"an empty body", "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 0\r\n\r\n", 200, "", true, true},
		{"chunks", "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n0.\r\n1\r\n5\r\n0\r\nX-After: 1\r\n\r\n", 200, "0.5", false, true},
		{"long chunks", "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n15f90\r\n" + long + "\r\n0\r\n\r\n", 200, long, false, true},
		{"as long as the connection", "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nX: end by closing\r\n\r\n0.5", 200, "0.5", false, false},
		{"the connection is to be closed", "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 3\r\nConnection: close\r\n\r\n0.5", 200, "0.5", false, false},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 3\r\n\r\n0.5", 200, "0.5", false, false},
		{"bare line ends", "HTTP/1.1 200 OK\nContent-Type: text/csv\nContent-Length: 3\n\n0.5", 200, "0.5", false, true},
		{"interim answers first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 3\r\n\r\n0.5", 200, "0.5", false, true},
		{"no content", "HTTP/1.1 204 No Content\r\nContent-Type: text/csv\r\n\r\n", 204, "", false, true},
		{"an error", "HTTP/1.1 503 Slow down\r\nContent-Type: text/csv\r\nContent-Length: 4\r\nRetry-After: 7\r\n\r\nlate", 503, "late", false, true},
		{"packed", "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08", 200, "\x1f\x8b\x08", false, true},
		{"more than was told", "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 2\r\n\r\n0.5", 200, "0.", true, false},
	}
	for _, tt := range tests {
		for _, piece := range []int{1 << 20, 7, 1} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := saying(tt.answer, piece)
					defer h.close()
					pool := h.pool()
					c, err := pool.Do(t.Context(), []byte(request), Mark{})
					if err != nil {
						t.Fatal(err)
					}
					if c.Status != tt.status || string(c.Body) != tt.body || c.Err != nil || string(c.ContentType) != "text/csv" || (c.Header == nil) != tt.plain {
						t.Errorf("got %d, %q (%v), %q, header %v", c.Status, c.Body, c.Err, c.ContentType, c.Header)
					}
					synctest.Wait() // what comes late has come
					c.Release()
					if kept := pool.count() == 1; kept != tt.kept && (piece > 1<<10 || tt.kept) {
						t.Errorf("the connection was kept: %v", kept)
					}
				})
			})
		}
	}
}

func TestBrokenAnswersAreErrors(t *testing.T) {
	tests := []struct{ name, answer, want string }{
		{"no HTTP", "SSH-2.0-OpenSSH_9.6 end by closing\r\n\r\n", "malformed"},
		{"no end of the header", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 9000), "larger than 4096"},
		{"a long header of an error", "HTTP/1.1 500 Oh\r\n" + strings.Repeat("X: "+strings.Repeat("x", 900)+"\r\n", 5) + "\r\n", "larger than 4096"},
		{"a body that is too long", "HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n" + strings.Repeat("x", 100_001), "larger than 100000"},
		{"chunks that are too many", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a1\r\n" + strings.Repeat("x", 100_001) + "\r\n0\r\n\r\n", "larger than 100000"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n0.5", "Content-Length"},
		{"a length below zero", "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n0.5", "Content-Length"},
		{"a folded line", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n Content-Length : 4\r\n\r\n0.5", "Content-Length"},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "101"},
		{"interim answers without end", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 20), "100"},
		{"half of a header", "HTTP/1.1 200 OK\r\nX: end by closing", "unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := saying(tt.answer, 1<<20)
				defer h.close()
				pool := h.pool()
				c, err := pool.Do(t.Context(), []byte(request), Mark{})
				if err == nil {
					err = c.Err
					c.Release()
				}
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v; want an error that says %q", err, tt.want)
				}
				if pool.count() > 0 {
					t.Error("the connection was kept")
				}
			})
		})
	}
}

func TestABodyThatIsCutOffSaysSo(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nX: end by closing\r\nContent-Length: 30\r\n\r\n0.5",
		"HTTP/1.1 200 OK\r\nX: end by closing\r\nTransfer-Encoding: chunked\r\n\r\n1e\r\n0.5",
		"HTTP/1.1 500 Oh\r\nX: end by closing\r\nContent-Length: 30\r\n\r\n0.5",
	} {
		synctest.Test(t, func(t *testing.T) {
			h := saying(answer, 1<<20)
			pool := h.pool()
			c, err := pool.Do(t.Context(), []byte(request), Mark{})
			if err != nil || !errors.Is(c.Err, io.ErrUnexpectedEOF) || string(c.Body) != "0.5" || c.Header == nil {
				t.Fatalf("got %+v, %v", c, err)
			}
			if c.Release(); pool.count() > 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

func TestAnAnswerBeforeTheWholeRequestIsTaken(t *testing.T) {
	near, far := net.Pipe()
	go func() { // reads a little of a request, refuses it and goes
		io.ReadFull(far, make([]byte, 10))
		far.Close()
	}()
	pool := NewPool(Options{Dial: func(context.Context) (net.Conn, error) { return &early{Conn: near}, nil }, MaxIdle: 1, IdleTime: time.Minute, MaxHeader: 4096, MaxBody: 4096})
	c, err := pool.Do(t.Context(), []byte(request), Mark{})
	if err != nil || c.Status != 413 {
		t.Fatalf("got %+v, %v", c, err)
	}
	if c.Release(); pool.count() > 0 {
		t.Error("the connection was kept")
	}
}

// early is a connection with an answer in its buffer, as a socket has it.
type early struct {
	net.Conn
	read bool
}

func (e *early) Read(p []byte) (int, error) {
	if e.read {
		return 0, io.EOF
	}
	e.read = true
	return copy(p, "HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n\r\n"), nil
}

func TestTheCallersTimeEndsACall(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer string
	}{{"no answer", ""}, {"half of an answer", "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n0.5"}, {"half of an error", "HTTP/1.1 500 Oh\r\nContent-Length: 30\r\n\r\n0.5"}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := saying(tt.answer, 1<<20)
				defer h.close()
				pool := h.pool()
				begun := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if c, err := pool.Do(ctx, []byte(request), Mark{}); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
					t.Errorf("got %+v, %v after %v", c, err, time.Since(begun))
				}
				ctx, cancel = context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				if c, err := pool.Do(ctx, []byte(request), Mark{}); !errors.Is(err, context.Canceled) || time.Since(begun) != 2*time.Second {
					t.Errorf("got %+v, %v after %v", c, err, time.Since(begun))
				}
				_, err := pool.Do(ctx, []byte(request), Mark{})
				if n, _ := h.seen(); !errors.Is(err, context.Canceled) || n != 2 || pool.count() > 0 {
					t.Errorf("%v; %d connections were opened, %d are kept", err, n, pool.count())
				}
			})
		})
	}
}

// timerless returns a context with a deadline. The test fails if its timer is made.
func timerless(t *testing.T, parent context.Context, at time.Time) context.Context {
	ctx := new(callctx.Deadline)
	ctx.Start(parent, at)
	t.Cleanup(func() {
		if ctx.HasTimer() {
			t.Error("the context has a timer")
		}
	})
	return ctx
}

func TestADeadlineTakesNoTimerOfItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := saying("", 1)
		defer silent.close()
		pool, begun := silent.pool(), time.Now()
		if c, err := pool.Do(timerless(t, t.Context(), begun.Add(time.Second)), []byte(request), Mark{}); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("got %+v, %v after %v", c, err, time.Since(begun))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if c, err := pool.Do(timerless(t, ctx, begun.Add(time.Hour)), []byte(request), Mark{}); !errors.Is(err, context.Canceled) || time.Since(begun) != 2*time.Second {
			t.Errorf("got %+v, %v after %v", c, err, time.Since(begun))
		}
		if pool.count() > 0 {
			t.Error("a connection is kept whose call was cut off")
		}
	})
}

func TestADeadlineIsThatOfItsCallAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{answer: func(to net.Conn, _ int) bool {
			time.Sleep(700 * time.Millisecond)
			_, err := io.WriteString(to, fine)
			return err == nil
		}}
		defer h.close()
		pool := h.pool()
		for i, within := range []time.Duration{800 * time.Millisecond, 800 * time.Millisecond, 0, 800 * time.Millisecond, 0} {
			ctx := t.Context()
			if within > 0 {
				ctx = timerless(t, ctx, time.Now().Add(within))
			}
			c, err := pool.Do(ctx, []byte(request), Mark{})
			if err != nil {
				t.Fatalf("call %d: %v", i, err)
			}
			c.Release()
			time.Sleep(200 * time.Millisecond) // the deadline passes
		}
		if opened, requests := h.seen(); opened != 1 || requests != 5 {
			t.Errorf("%d connections for %d requests", opened, requests)
		}
	})
}

const fine = "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 3\r\n\r\n0.5"

func TestConnectionsAreKeptForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := saying(fine, 1<<20)
		pool := h.pool()
		do := func(n int) {
			t.Helper()
			var all []*Conn
			for range n {
				c, err := pool.Do(t.Context(), []byte(request), Mark{})
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, c)
			}
			for _, c := range all {
				c.Release()
			}
			synctest.Wait()
		}
		see := func(opened, idle int) {
			t.Helper()
			if n, _ := h.seen(); n != opened || pool.count() != idle {
				t.Errorf("%d connections were opened and %d are idle, want %d and %d", n, pool.count(), opened, idle)
			}
		}
		do(1)
		do(1)
		see(1, 1)
		do(3)
		see(3, 2) // MaxIdle
		time.Sleep(40 * time.Second)
		do(1) // always the same one
		see(3, 2)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		see(3, 1) // the other is too old
		time.Sleep(40 * time.Second)
		synctest.Wait()
		see(3, 0)
		do(2)
		see(5, 2)
		pool.Close()
		see(5, 0)
	})
}

func TestADeadConnectionIsNotUsed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	h := &host{answer: func(to net.Conn, _ int) bool { // one answer, and it does not say that it is the last
		io.WriteString(to, fine)
		return false
	}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go h.serve(conn)
		}
	}()
	pool := NewPool(Options{Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", listener.Addr().String())
	}, MaxIdle: 2, IdleTime: time.Minute, MaxHeader: 4096, MaxBody: 4096})
	for range 5 {
		c, err := pool.Do(t.Context(), []byte(request), Mark{})
		if err != nil {
			t.Fatal(err)
		}
		c.Release()
		for c.alive() {
			runtime.Gosched() // until the end of the connection has arrived
		}
	}
	if opened, requests := h.seen(); opened != 5 || requests != 5 {
		t.Errorf("%d connections, %d requests", opened, requests)
	}
}

func TestALivingConnectionIsUsed(t *testing.T) {
	server := newLoopback(t)
	pool := server.pool()
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		c, err := pool.Do(ctx, []byte(request), Mark{})
		if err != nil {
			t.Fatal(err)
		}
		c.Release()
		cancel() // of a call that is over
	}
	if n := server.opened.Load(); n != 1 {
		t.Errorf("%d connections for three calls", n)
	}
}

func TestALivingConnectionOverTLSIsUsed(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "0.5") }))
	defer server.Close()
	var opened int
	pool := NewPool(Options{Dial: func(ctx context.Context) (net.Conn, error) {
		opened++
		d := tls.Dialer{Config: server.Client().Transport.(*http.Transport).TLSClientConfig}
		return d.DialContext(ctx, "tcp", server.Listener.Addr().String())
	}, MaxIdle: 2, IdleTime: time.Minute, MaxHeader: 4096, MaxBody: 4096})
	for range 3 {
		c, err := pool.Do(t.Context(), []byte(request), Mark{})
		if err != nil || string(c.Body) != "0.5" {
			t.Fatalf("got %+v, %v", c, err)
		}
		c.Release()
	}
	if opened != 1 {
		t.Errorf("%d connections for three calls", opened)
	}
	server.CloseClientConnections()
	for c := pool.idle[0]; c.alive(); {
		runtime.Gosched() // until the end of the connection has arrived
	}
	if c, err := pool.Do(t.Context(), []byte(request), Mark{}); err != nil || opened != 2 {
		t.Errorf("got %+v, %v over %d connections", c, err, opened)
	}
}

// FuzzAnswer holds the plain reading to net/http's: what it takes, net/http
// takes too, and reads the same.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(fine))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n5\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX\x00: 3\r\n\r\n5"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX: a\x00b\x7f\r\n\r\n5"))
	f.Add([]byte("HTTP/1.1 20\x00 OK\r\nContent-Length: +1\r\n\r\n5"))
	f.Fuzz(func(t *testing.T, text []byte) {
		head := endOfHead(text, 0)
		var a Answer
		length, plain := a.parse(text[:head])
		if !plain || len(text) < head+length {
			return
		}
		r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), post)
		if err != nil {
			t.Fatalf("%q was taken, and is wrong: %v", text, err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		type seen struct {
			status     int
			kind, body string
			close      bool
		}
		want := seen{r.StatusCode, r.Header.Get("Content-Type"), string(body), r.Close}
		got := seen{a.Status, strings.TrimSpace(string(a.ContentType)), string(text[head : head+length]), false}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(seen{})); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	})
}
