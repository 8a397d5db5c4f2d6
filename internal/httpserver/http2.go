package httpserver

import (
	"io"
	"net/http"

	"gateway/internal/admission"
)

const (
	// maxStreams bounds the requests that are open at the same time on a connection of
	// HTTP/2. RFC 9113, section 6.5.2, recommends at least 100.
	maxStreams = 100
	// maxHeaderFields bounds the fields of a header, as http1 does for HTTP/1.1. A field
	// takes more memory than its bytes.
	maxHeaderFields = 128
)

// acceptHTTP2 makes the server accept HTTP/2 without TLS, which proxies that terminate TLS
// may use.
func acceptHTTP2(server *http.Server) {
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	server.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams:          maxStreams,
		MaxReceiveBufferPerConnection: 1 << 20,
		MaxReceiveBufferPerStream:     256 << 10,
	}
}

// boundStreams charges each request of HTTP/2 like a connection, because it may hold as much
// memory. It also bounds the fields of the header.
func (l *Listener) boundStreams(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			next.ServeHTTP(w, r)
			return
		}
		if headerFields(r.Header) > maxHeaderFields {
			w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
			return
		}
		network := admission.Network(r.RemoteAddr)
		if !l.admit(r.RemoteAddr, network) {
			l.refused.Add(1)
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, tooManyProblem)
			return
		}
		l.streams.Add(1)
		defer func() {
			l.streams.Add(-1)
			l.release(network)
		}()
		next.ServeHTTP(w, r)
	})
}

func headerFields(header http.Header) int {
	fields := 0
	for _, values := range header {
		fields += len(values)
	}
	return fields
}
