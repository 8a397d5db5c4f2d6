package httpserver

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gateway/internal/admission"
)

// http2Client is a client that speaks HTTP/2 without TLS, as a proxy that ends
// TLS does. It counts the connections that it opens.
func http2Client(t *testing.T) (*http.Client, *atomic.Int64) {
	opened := new(atomic.Int64)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		opened.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}, opened
}

// status returns the status of an answer that came over HTTP/2.
func status(t *testing.T, res *http.Response, err error) int {
	t.Helper()
	if err != nil {
		t.Error(err)
		return 0
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Error(err)
	}
	if res.ProtoMajor != 2 {
		t.Errorf("got an answer of %s, want HTTP/2", res.Proto)
	}
	return res.StatusCode
}

// serve serves a handler until the test ends and returns the address.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	l, err := Listen("127.0.0.1:0", 1000, nil)
	if err != nil {
		t.Fatal(err)
	}
	var draining atomic.Bool
	server := New(l, Options{Handler: handler, PlainPaths: []string{"/predict"}, Draining: draining.Load,
		ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: time.Minute})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		draining.Store(true)
		if err := server.Shutdown(context.Background(), time.Millisecond); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return server.URL()
}

// TestHTTP2WithoutTLS sends several requests at once on one connection.
func TestHTTP2WithoutTLS(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	client, opened := http2Client(t)
	t.Cleanup(client.CloseIdleConnections) // before the server's
	res, err := client.Get(url + "/readyz")
	if got := status(t, res, err); got != 200 {
		t.Errorf("/readyz: got %d", got)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 20 {
				res, err := client.Post(url+"/predict", "application/json", strings.NewReader(strconv.Itoa(i)))
				if got := status(t, res, err); got != 200 {
					t.Errorf("/predict: got %d", got)
				}
			}
		})
	}
	all.Wait()
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections were opened, want one", n)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxHeaderFields + 1 {
		r.Header.Set("X-"+strconv.Itoa(i), "1")
	}
	res, err = client.Do(r)
	if got := status(t, res, err); got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of %d fields: got %d", len(r.Header), got)
	}
}

// TestRequestsOfHTTP2CountAsConnections holds two requests on a listener for
// four connections: with the client's own that is three, and a third request is
// the last that is let in.
func TestRequestsOfHTTP2CountAsConnections(t *testing.T) {
	l, err := Listen("127.0.0.1:0", 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	server := &http.Server{Handler: l.boundStreams(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-leave
	}))}
	acceptHTTP2(server)
	var all sync.WaitGroup
	all.Go(func() { _ = server.Serve(l) })
	client, _ := http2Client(t)
	get := func() (*http.Response, error) { return client.Get("http://" + l.Addr().String()) }
	for range 3 {
		all.Go(func() {
			res, err := get()
			if got := status(t, res, err); got != 200 {
				t.Errorf("a request within the bound: got %d", got)
			}
		})
		<-entered
	}
	res, err := get()
	if got := status(t, res, err); got != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "1" {
		t.Errorf("a request beyond the bound: got %d", got)
	}
	leave <- struct{}{}
	eventually(t, "a request's place is free again", func() bool { return l.streams.Load() == 2 })
	all.Go(func() {
		res, err := get()
		if got := status(t, res, err); got != 200 {
			t.Errorf("a request after another has ended: got %d", got)
		}
	})
	<-entered
	close(leave)
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	all.Wait()
}

func TestOneClientHasHalfOfTheConnections(t *testing.T) {
	l, err := Listen("127.0.0.1:0", 10, []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	from := func(address string) bool {
		remote := net.JoinHostPort(address, "4711")
		return l.admit(remote, admission.Network(remote))
	}
	for i := range 7 {
		if in := from("192.0.2.1"); in != (i < 5) {
			t.Errorf("connection %d is let in: %v", i, in)
		}
	}
	for i := range 10 { // a network of IPv6 is one client
		if in := from(fmt.Sprintf("2001:db8::%d", i)); in != (i < 5) {
			t.Errorf("connection %d of a network is let in: %v", i, in)
		}
	}
	for range 10 {
		if !from("198.51.100.7") {
			t.Error("a trusted proxy is refused")
		}
	}
	if !from("127.0.0.1") {
		t.Error("a proxy on this machine is refused")
	}
}

// eventually polls until ok, for a minute at most.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
