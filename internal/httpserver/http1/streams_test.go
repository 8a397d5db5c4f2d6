package http1

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// streamParts are what FuzzStreams makes a client's stream of: whole requests, parts of
// them, and what may stand between.
var streamParts = []string{
	one, head + "\r\n", "hello", "POST /plain HTTP/1.1\r\n", "GET /other HTTP/1.1\r\nHost: here\r\n\r\n",
	"GET /plain HTTP/1.1\r\n", "POST /other HTTP/1.1\r\n", "POST /plain HTTP/1.0\r\n",
	"\r\n", "\n", "\r", "\r\n\r\n", "\n\n\n\n", " ", "\t", ":", "\x00", "0", "5", ",", ";",
	"Host: here\r\n", "Host:\r\n", "host: there\n", "Content-Length: 5\r\n", "content-length:5\r\n", "Content-Length: 5, 5\r\n",
	"Content-Length: 0\r\n", "Content-Length: 12\r\n", "Content-Length: +5\r\n", "Content-Length: 5 \r\n", "Content-Length : 5\r\n",
	"Content-Length: 99999999999999999999\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: identity\r\n",
	"Transfer-Encoding: gzip, chunked\r\n", "transfer-encoding:\tchunked\r\n", "Transfer-Encoding:\x0bchunked\r\n",
	"0\r\n\r\n", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n\r\n", "5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n", "5\nhello\n0\n\n", "6\r\nhello\r\n",
	"Connection: close\r\n", "Connection: keep-alive\r\n", "Connection: Upgrade\r\nUpgrade: h2c\r\n", "Expect: 100-continue\r\n",
	"Trailer: A\r\n", "A: b\r\n", " folded\r\n", "A\r\n", ": b\r\n", "A: \x7f\r\n", "A: \xff\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\n", "HEAD /plain HTTP/1.1\r\n", "CONNECT here:80 HTTP/1.1\r\n", "POST http://there/plain HTTP/1.1\r\n",
	"POST /plain?x HTTP/1.1\r\n", "POST /pl%61in HTTP/1.1\r\n", "POST  /plain HTTP/1.1\r\n", "Cookie: a=b\r\n",
}

// Codes of FuzzStreams that name no part.
const (
	codeCut  = 254 // what comes next is sent by another write
	codeByte = 255 // the next byte goes into the stream as it is
)

// streamOf makes a stream, in the pieces in which it is written.
func streamOf(codes []byte) (pieces []string) {
	var piece strings.Builder
	for i := 0; i < len(codes); i++ {
		switch code := codes[i]; {
		case code == codeCut:
			pieces = append(pieces, piece.String())
			piece.Reset()
		case code == codeByte && i+1 < len(codes):
			i++
			piece.WriteByte(codes[i])
		default:
			piece.WriteString(streamParts[int(code)%len(streamParts)])
		}
	}
	return append(pieces, piece.String())
}

var (
	dateAtEnd = regexp.MustCompile(`\r\nDate: [^\r]*GMT\r\n`)
	ownPort   = regexp.MustCompile(`from 127\.0\.0\.1:[0-9]+`)
)

// exchange sends a stream, ends it, and returns all that the server says.
func exchange(t *testing.T, addr string, pieces []string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	for _, piece := range pieces {
		_, _ = io.WriteString(conn, piece) // a server may have ended the connection
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(conn)
	// net/http resets a connection on which a refused stream goes on.
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("after %q: %v", answer, err)
	}
	text := dateAtEnd.ReplaceAllString(string(answer), "\r\nDate: now\r\n")
	return ownPort.ReplaceAllString(text, "from here")
}

// FuzzStreams holds that a client gets net/http's answers, whatever it sends and in
// whatever pieces: no request more, none less, none other.
func FuzzStreams(f *testing.F) {
	part := func(text string) byte {
		for i, p := range streamParts {
			if p == text {
				return byte(i)
			}
		}
		f.Fatalf("there is no part %q", text)
		return 0
	}
	request, lineBreak, lineFeed := part(one), part("\r\n"), part("\n")
	f.Add([]byte{request, request, codeCut, request})
	f.Add([]byte{request, lineBreak, request, codeCut, lineBreak, request, lineFeed, lineFeed, request})
	f.Add([]byte{request, part("GET /other HTTP/1.1\r\nHost: here\r\n\r\n"), lineBreak, request, codeCut, lineBreak, request})
	f.Add([]byte{request, codeByte, 'X', request})
	f.Add([]byte{part("POST /plain HTTP/1.1\r\n"), part("Host: here\r\n"), part("Transfer-Encoding: chunked\r\n"), lineBreak,
		part("5\r\nhello\r\n0\r\n\r\n"), lineBreak, request})
	f.Add([]byte{part("POST /plain HTTP/1.1\r\n"), part("Host: here\r\n"), part("Content-Length: 5\r\n"),
		part("Transfer-Encoding: chunked\r\n"), lineBreak, part("5\r\nhello\r\n0\r\n\r\n"), request})
	// The stream ends within a request.
	f.Add([]byte{part("A: b\r\n")})
	f.Add([]byte{part(head + "\r\n"), codeByte, 'h'})
	f.Add([]byte{request, codeByte, 'X'})
	f.Add([]byte{request, part("A: b\r\n")})
	f.Add([]byte{request, lineBreak, lineBreak, lineBreak})
	f.Add([]byte{part(head + "\r\n"), codeCut, part("hello"), lineBreak, codeCut, request})

	serve := func(wrap func(net.Listener) net.Listener) string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			f.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(tell), ErrorLog: log.New(io.Discard, "", 0)}
		go func() { _ = server.Serve(wrap(listener)) }()
		f.Cleanup(func() { _ = server.Close() })
		return listener.Addr().String()
	}
	alone := serve(func(l net.Listener) net.Listener { return l })
	front := serve(func(l net.Listener) net.Listener {
		return Listen(l, Options{Handler: http.HandlerFunc(tell), Paths: []string{"/plain"}, ErrorLog: log.New(io.Discard, "", 0)})
	})
	f.Fuzz(func(t *testing.T, codes []byte) {
		if len(codes) > 40 {
			return
		}
		pieces := streamOf(codes)
		want, got := exchange(t, alone, pieces), exchange(t, front, pieces)
		if got != want {
			t.Errorf("for %q\ngot\n%s\nwant\n%s", pieces, got, want)
		}
	})
}
