//go:build unix

package app

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/config"
	"gateway/internal/gatewaytest"
)

// besieged is a gateway with a model, little patience and few places.
func besieged(t *testing.T, change func(*config.Config, *Options)) *gatewayUnderTest {
	t.Helper()
	cfg := newConfig(t)
	cfg.Demo = false
	cfg.Outbox.Sync = "interval"
	cfg.ReadTimeout, cfg.WriteTimeout = time.Second, time.Second
	cfg.Limit = config.LimitConfig{Min: 4, Max: 4}
	var o Options
	if change != nil {
		change(&cfg, &o)
	}
	return startPreparedWith(t, cfg, generated(600), o)
}

// dial opens connections that are closed when the test ends.
func (g *gatewayUnderTest) dial(t *testing.T, count int) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, count)
	for i := range conns {
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		_ = conn.SetDeadline(time.Now().Add(gatewaytest.Patience))
		t.Cleanup(func() { _ = conn.Close() })
		conns[i] = conn
	}
	return conns
}

// predicts expects a prediction for a caller that does nothing wrong.
func (g *gatewayUnderTest) predicts(t *testing.T) {
	t.Helper()
	if _, err := g.client.Predict(t.Context(), api.PredictionRequest{Features: gatewaytest.Sample()}); err != nil {
		t.Errorf("another caller got %v", err)
	}
}

// quiet waits until no connection is left but those kept by the test's client,
// and as many goroutines as before.
func (g *gatewayUnderTest) quiet(t *testing.T, goroutines int) {
	t.Helper()
	gatewaytest.Eventually(t, "connections and goroutines are as before", func() bool {
		g.hangUp()
		return g.App.servers[0].Listener().Open() == 0 && runtime.NumGoroutine() <= goroutines
	})
}

// hangUp closes the connections that the test's clients keep.
func (g *gatewayUnderTest) hangUp() {
	g.client.HTTP.CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
}

// idleGoroutines is how many there are without connections.
func (g *gatewayUnderTest) idleGoroutines(t *testing.T) int {
	t.Helper()
	gatewaytest.Eventually(t, "no client is connected", func() bool {
		g.hangUp()
		return g.App.servers[0].Listener().Open() == 0
	})
	return runtime.NumGoroutine() + 5 // what comes and goes in the background
}

const predictHead = "POST /predict HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"

func TestSlowHeadersEnd(t *testing.T) {
	g := besieged(t, nil)
	before := g.idleGoroutines(t)
	conns := g.dial(t, 300)
	for _, conn := range conns {
		fmt.Fprint(conn, "POST /predict HTTP/1.1\r\nHost: g\r\nX-Slow: ")
	}
	g.predicts(t)
	for _, conn := range conns { // closed without an answer: there was no request
		if text, err := io.ReadAll(conn); len(text) > 0 || isTimeout(err) {
			t.Fatalf("got %q, %v", text, err)
		}
	}
	g.quiet(t, before)
}

// TestSlowBodiesTakeNoPlaces: there are four places, and three hundred bodies
// that do not come.
func TestSlowBodiesTakeNoPlaces(t *testing.T) {
	g := besieged(t, nil)
	before := g.idleGoroutines(t)
	conns := g.dial(t, 300)
	for i, conn := range conns {
		fmt.Fprintf(conn, predictHead+`{"features"`, 600+i%2*100_000)
	}
	for range 20 {
		g.predicts(t)
	}
	for _, conn := range conns {
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantProblem(t, res, http.StatusRequestTimeout, "urn:gateway:problem:slow-body")
		if _, err := io.ReadAll(conn); isTimeout(err) {
			t.Fatal("the connection stays open")
		}
	}
	g.quiet(t, before)
}

// TestLargeBodiesOnTheirWayAreBounded sends 300 KiB of many bodies of 1 MiB. The
// gateway waits for as many of them as one caller may hold memory for. Each holds
// twice the next power of two, 1 MiB.
func TestLargeBodiesOnTheirWayAreBounded(t *testing.T) {
	const within = 12
	g := besieged(t, func(cfg *config.Config, o *Options) { cfg.ReadTimeout, o.MemoryLimit = 5*time.Second, 2*within<<20*8/3 })
	before := g.idleGoroutines(t)
	conns := g.dial(t, 40)
	begun := strings.Repeat(" ", 300<<10)
	for _, conn := range conns {
		go func() { fmt.Fprintf(conn, predictHead+begun, 1<<20) }()
	}
	statuses := make(chan int, len(conns))
	for _, conn := range conns {
		go func() {
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Error(err)
				statuses <- 0
				return
			}
			_ = res.Body.Close()
			if res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			statuses <- res.StatusCode
		}()
	}
	for range len(conns) - within {
		if status := <-statuses; status != http.StatusServiceUnavailable {
			t.Errorf("status %d", status)
		}
	}
	g.predicts(t) // small ones are read meanwhile
	for range within {
		if status := <-statuses; status != http.StatusRequestTimeout {
			t.Errorf("status %d", status)
		}
	}
	g.quiet(t, before)
}

// smallDialer makes connections that take little before they are read.
var smallDialer = net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
}}

// TestSlowReadersAreDropped asks for much and reads nothing.
func TestSlowReadersAreDropped(t *testing.T) {
	g := besieged(t, func(cfg *config.Config, o *Options) { o.maxHandling, cfg.PredictTimeout = time.Second, time.Second })
	before := g.idleGoroutines(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			conn, err := smallDialer.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			_ = conn.SetDeadline(time.Now().Add(gatewaytest.Patience))
			for { // until the gateway reads no more, and then closes
				if _, err := io.WriteString(conn, "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: g\r\n\r\n"); err != nil {
					if isTimeout(err) {
						t.Error("the gateway waits for a reader for ever")
					}
					return
				}
			}
		})
	}
	g.predicts(t)
	all.Wait()
	g.quiet(t, before)
}

func TestAFloodOfHeadersIsRefused(t *testing.T) {
	g := besieged(t, nil)
	before := g.idleGoroutines(t)
	for _, conn := range g.dial(t, 50) {
		_, _ = io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: g\r\n"+strings.Repeat("X-Flood: "+strings.Repeat("x", 990)+"\r\n", 60)+"\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != http.StatusRequestHeaderFieldsTooLarge || !res.Close {
			t.Errorf("status %d, and the connection stays open: %t", res.StatusCode, !res.Close)
		}
	}
	g.predicts(t)
	g.quiet(t, before)
}

// TestIdleConnectionsCostLittle: each is one goroutine and a few KiB.
func TestIdleConnectionsCostLittle(t *testing.T) {
	const count = 2000
	g := besieged(t, func(cfg *config.Config, _ *Options) { cfg.ReadTimeout = time.Minute })
	before := g.idleGoroutines(t)
	memory := heap()
	conns := g.dial(t, count)
	for _, conn := range conns { // all have asked once
		if _, err := io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: g\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("got %v, %v", res, err)
		}
		_ = res.Body.Close()
	}
	if each := (heap() - memory) / count; each > 32<<10 {
		t.Errorf("a connection costs %d bytes", each)
	}
	if n := runtime.NumGoroutine() - before; n > count+10 {
		t.Errorf("%d goroutines for %d connections", n, count)
	}
	g.predicts(t)
	for _, conn := range conns {
		_ = conn.Close()
	}
	g.quiet(t, before)
}

// heap is what is in use, both ends of each connection included.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

func TestConnectionsAreBounded(t *testing.T) {
	g := besieged(t, func(cfg *config.Config, _ *Options) { cfg.MaxConnections = 20 })
	before := g.idleGoroutines(t)
	conns := g.dial(t, 20)
	gatewaytest.Eventually(t, "all are in", func() bool { return g.App.servers[0].Listener().Open() == 20 })
	for _, conn := range g.dial(t, 10) {
		fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost: g\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !res.Close || res.Header.Get("Retry-After") != "1" {
			t.Errorf("headers %v", res.Header)
		}
		wantProblem(t, res, http.StatusServiceUnavailable, "urn:gateway:problem:unavailable")
	}
	if n := g.App.servers[0].Listener().Refused(); n != 10 {
		t.Errorf("%d were turned away", n)
	}
	_ = conns[0].Close()
	gatewaytest.Eventually(t, "there is room again", func() bool { return g.App.servers[0].Listener().Open() == 19 })
	g.predicts(t)
	for _, conn := range conns {
		_ = conn.Close()
	}
	g.quiet(t, before)
}

func wantProblem(t *testing.T, res *http.Response, status int, kind string) {
	t.Helper()
	defer res.Body.Close()
	var p edge.Problem
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil || res.StatusCode != status || p.Status != status || p.Type != kind {
		t.Fatalf("status %d, %+v, %v; want %d %s", res.StatusCode, p, err, status, kind)
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
