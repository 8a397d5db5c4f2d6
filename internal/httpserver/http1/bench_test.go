package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
)

// BenchmarkServe is a request and its answer over loopback, the client's part
// included: by net/http alone, and by this package before it.
func BenchmarkServe(b *testing.B) {
	answer := []byte(`{"score":0.5,"predicted_label":1}`)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = []string{"application/json"}
		_, _ = w.Write(answer)
	})
	for _, test := range []struct {
		name string
		over func(net.Listener) net.Listener
	}{
		{"net_http", func(l net.Listener) net.Listener { return l }},
		{"here", func(l net.Listener) net.Listener { return Listen(l, Options{Handler: h, Paths: []string{"/plain"}}) }},
	} {
		b.Run(test.name, func(b *testing.B) {
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			server := &http.Server{Handler: h}
			go func() { _ = server.Serve(test.over(inner)) }()
			defer server.Close()
			conn, err := net.Dial("tcp", inner.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			in, size := bufio.NewReader(conn), 0
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.WriteString(conn, one); err != nil {
					b.Fatal(err)
				}
				if size == 0 { // all answers are as long as the first
					if size = sizeOf(b, in); size == 0 {
						b.Fatal("no answer")
					}
				} else if _, err := in.Discard(size); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func sizeOf(b *testing.B, in *bufio.Reader) (size int) {
	for length := 0; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		size += len(line)
		if n, err := strconv.Atoi(trimmed(line, "Content-Length: ")); err == nil {
			length = n
		}
		if line == "\r\n" {
			_, err := in.Discard(length)
			if err != nil {
				b.Fatal(err)
			}
			return size + length
		}
	}
}

func trimmed(line, name string) string {
	if len(line) < len(name)+2 || line[:len(name)] != name {
		return ""
	}
	return line[len(name) : len(line)-2]
}
