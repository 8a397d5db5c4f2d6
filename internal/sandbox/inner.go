package sandbox

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
)

// inner is the HTTP client of the stand-in's own calls of S3, for training and exports. Faults
// and the journal do not apply to them.
type inner struct{ s *Server }

// Do implements aws.HTTPClient.
func (i inner) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = readAll(r.Body, r.ContentLength); err != nil {
			return nil, err
		}
	}
	c := i.s.identify(r)
	a := i.s.serve(c, body)
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: r,
	}, nil
}

// buffered is an http.ResponseWriter that stores the answer.
type buffered struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (b *buffered) Header() http.Header { return b.header }

// WriteHeader implements http.ResponseWriter.
func (b *buffered) WriteHeader(status int) {
	if b.status == 0 {
		b.status = status
	}
}

func (b *buffered) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	if size, err := strconv.Atoi(b.header.Get("Content-Length")); err == nil && b.body.Len() == 0 {
		b.body.Grow(size)
	}
	return b.body.Write(p)
}

// readAll reads a body of size bytes, or of unknown size if that is negative, without growing
// a buffer step by step: bodies of S3 are large.
func readAll(body io.Reader, size int64) ([]byte, error) {
	if size < 0 {
		return io.ReadAll(body)
	}
	all := make([]byte, size)
	_, err := io.ReadFull(body, all)
	return all, err
}

func (b *buffered) answer() *answer {
	b.WriteHeader(http.StatusOK)
	return &answer{status: b.status, header: b.header, body: b.body.Bytes()}
}

// newBackend returns a proxy to a moto server.
func newBackend(target *url.URL) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			// The server of net/http sends "100 Continue" when the body is read. moto
			// sends it too, even without a body, which would be a second interim
			// answer.
			r.Out.Header.Del("Expect")
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "the backend at "+target.String()+" does not answer: "+err.Error(), http.StatusBadGateway)
		},
		ErrorLog: quiet(),
	}
}

// forwards reports whether the backend answers a call. The stand-in makes exports itself,
// because those of moto have no manifest.
func (s *Server) forwards(c *call) bool {
	if s.backend == nil || c.Service == "sagemaker" || c.Service == "athena" {
		return false
	}
	switch c.Operation {
	case "ExportTableToPointInTime", "DescribeExport", "ListExports":
		return false
	}
	return true
}

// forward passes a call to the backend. It streams the answer unless a fault needs the whole
// answer.
func (s *Server) forward(w http.ResponseWriter, c *call) (status int) {
	if c.fault = s.faults.take(&c.Call); c.fault == nil {
		seen := &statusWriter{ResponseWriter: w}
		s.backend.ServeHTTP(seen, c.request)
		return seen.status
	}
	c.Fault = c.fault.Kind
	a := s.before(c)
	if a == nil {
		buffer := &buffered{header: http.Header{}}
		s.backend.ServeHTTP(buffer, c.request)
		a = c.after(buffer.answer())
	}
	c.write(w, a)
	return a.status
}

// statusWriter records the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap returns the inner ResponseWriter for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// pipes is a listener in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// quiet returns a logger that discards the messages of net/http about connections that faults
// cut.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
