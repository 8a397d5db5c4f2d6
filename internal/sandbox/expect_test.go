package sandbox_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"gateway/internal/sandbox"
)

// continuing is a backend that answers "100 Continue" twice to a request that expects
// it, as moto does, and then answers as usual.
func continuing(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					if r.Header.Get("Expect") != "" {
						io.WriteString(conn, strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 2))
					}
					body, err := io.ReadAll(r.Body)
					if err != nil {
						return
					}
					fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nX-Method: %s\r\nX-Received: %d\r\nContent-Length: 0\r\n\r\n", r.Method, len(body))
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// TestAnUploadThatExpectsToContinueGetsOneAnswer sends what boto3 sends, by hand: the
// answer of each request is the next one on its connection, after at most one "100
// Continue", and that only where there is a body to come.
func TestAnUploadThatExpectsToContinueGetsOneAnswer(t *testing.T) {
	for _, backend := range []string{"", continuing(t)} {
		s := startWith(t, sandbox.Options{Backend: backend, Buckets: []string{"bank"}})
		for _, body := range []string{"", "twelve bytes"} {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			const signed = "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20261130/" + sandbox.Region + "/s3/aws4_request, SignedHeaders=host, Signature=00\r\n"
			status := func() string {
				t.Helper()
				answer, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, answer.Body); err != nil {
					t.Fatal(err)
				}
				if n := answer.Header.Get("X-Received"); n != "" && n != fmt.Sprint(len(body)) && answer.Header.Get("X-Method") == "PUT" {
					t.Errorf("the backend received %s bytes, want %d", n, len(body))
				}
				return answer.Status
			}
			for range 3 {
				fmt.Fprintf(conn, "PUT /bank/file HTTP/1.1\r\nHost: 127.0.0.1\r\n%sExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", signed, len(body))
				if body != "" {
					if got := status(); got != "100 Continue" {
						t.Errorf("backend %q: %d bytes are answered with %s", backend, len(body), got)
					}
					io.WriteString(conn, body)
				}
				if got := status(); got != "200 OK" {
					t.Errorf("backend %q: an upload of %d bytes is answered with %s", backend, len(body), got)
				}
				fmt.Fprintf(conn, "GET /bank?list-type=2 HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", signed)
				if got := status(); got != "200 OK" {
					t.Errorf("backend %q: the request after it is answered with %s", backend, got)
				}
			}
		}
	}
}
