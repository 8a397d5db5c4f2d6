package http1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTheLinesOfAHeaderAreCounted(t *testing.T) {
	lines := func(count int) string { return strings.Repeat("a:b\r\n", count) }
	for _, tt := range []struct {
		name, text string
		within     bool
	}{
		{"as many as may be", "GET / HTTP/1.1\r\n" + lines(maxHeaderLines-1) + "\r\n", true},
		{"one more", "GET / HTTP/1.1\r\n" + lines(maxHeaderLines) + "\r\n", false},
		{"bare line feeds", strings.ReplaceAll("GET / HTTP/1.1\r\n"+lines(maxHeaderLines), "\r", ""), false},
		{"lines of the body", "POST / HTTP/1.1\r\nA: b\r\n\r\n" + lines(1000), true},
		{"lines of the body after bare line feeds", "POST / HTTP/1.1\nA: b\n\n" + lines(1000), true},
		{"a carriage return within a line", "GET / HTTP/1.1\r\n" + strings.Repeat("\ra\r\n", maxHeaderLines), false},
	} {
		for _, step := range []int{1, 2, 3, 7, len(tt.text)} {
			var h headerLines
			within := true
			for rest := tt.text; rest != "" && within; {
				n := min(step, len(rest))
				within = h.add([]byte(rest[:n])) == n
				rest = rest[n:]
			}
			if within != tt.within {
				t.Errorf("%s, %d bytes at once: within the limit: %t", tt.name, step, within)
			}
		}
	}
}

// TestAHeaderOfManyLinesIsRefused, whichever request of a connection has it.
// Other requests on kept connections have the limit for themselves.
func TestAHeaderOfManyLinesIsRefused(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	server := &http.Server{Handler: handler, ConnState: ConnState}
	l := Listen(inner, Options{Handler: handler, Paths: []string{"/plain"}})
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	for first := range 3 {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		answers := bufio.NewReader(conn)
		send := func(lines int, body string) *http.Response {
			fmt.Fprintf(conn, "POST /other HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n%s\r\n%s", len(body), strings.Repeat("X-A: b\r\n", lines), body)
			res, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			return res
		}
		for range first {
			if res := send(100, strings.Repeat("line\n", 1000)); res.StatusCode != 200 {
				t.Fatalf("a request of a hundred lines gets %d", res.StatusCode)
			}
		}
		if res := send(200, ""); res.StatusCode != http.StatusBadRequest || !res.Close {
			t.Errorf("after %d requests a header of 200 lines gets %d", first, res.StatusCode)
		}
	}
}

// TestThePrefaceOfHTTP2EndsTheCount feeds connections piece by piece.
func TestThePrefaceOfHTTP2EndsTheCount(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		http2      bool
	}{
		{"the preface", http2Preface + "frames", true},
		{"a request of HTTP/1.1", "PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n", false},
		{"half a preface", http2Preface[:len(http2Preface)-1], false},
		{"the preface after a request", "GET / HTTP/1.1\r\n\r\n" + http2Preface, false},
	} {
		for _, step := range []int{1, 2, 3, 7, len(tt.text)} {
			var c handedOffConn
			for rest := tt.text; rest != "" && !c.http2; {
				n := min(step, len(rest))
				c.begunHTTP2([]byte(rest[:n]))
				rest = rest[n:]
			}
			if c.http2 != tt.http2 {
				t.Errorf("%s, %d bytes at once: HTTP/2: %t", tt.name, step, c.http2)
			}
		}
	}
}
