package httpserver

import (
	"io"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// reservedDescriptors is how many file descriptors are reserved for other uses than
// connections of clients: the database, the endpoint, the outbox.
const reservedDescriptors = 512

// MaxConnections returns how many connections a listener may have open: the
// number asked for, or less if the process may not open as many files.
func MaxConnections(asked int) int64 {
	allowed := int64(asked)
	if limit := descriptorLimit(); limit > 0 {
		allowed = min(allowed, max(1, limit-reservedDescriptors, limit/2))
	}
	return allowed
}

// A connection beyond the bound gets this response. There is no request yet, so
// there is no request id.
const tooManyResponse = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n" +
	"Retry-After: 1\r\nConnection: close\r\nContent-Length: 142\r\n\r\n" + tooManyProblem

const tooManyProblem = `{"type":"urn:gateway:problem:unavailable","title":"Unavailable","status":503,"detail":"there are as many connections as the service can take"}`

// rejecting bounds the connections that are being rejected with a response.
var rejecting = make(chan struct{}, 64)

// rejectConn answers with 503 and closes the connection. It reads what the client
// sends: unread data would make the kernel reset the connection, and the client
// would not see the response. If too many connections are being rejected, it
// closes the connection at once.
func rejectConn(conn net.Conn) {
	select {
	case rejecting <- struct{}{}:
	default:
		_ = conn.Close()
		return
	}
	go func() {
		defer func() { <-rejecting }()
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		if _, err := io.WriteString(conn, tooManyResponse); err != nil {
			return
		}
		if half, ok := conn.(*net.TCPConn); ok && half.CloseWrite() == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(conn, 64<<10))
		}
	}()
}

// RegisterMetrics registers the metrics of a server under the name of its
// listener: public or admin.
func (s *Server) RegisterMetrics(reg prometheus.Registerer, name string) {
	labels := prometheus.Labels{"listener": name}
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
	}
	gauge("gateway_connections", "Open connections of clients.", func() float64 { return float64(s.listener.Open()) })
	gauge("gateway_connections_plain", "Open connections on which all requests have been plain so far; these are answered at a lower cost.",
		func() float64 { return float64(s.front.Open()) })
	gauge("gateway_connections_max", "Maximum number of open connections.", func() float64 { return float64(s.listener.max) })
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "gateway_connections_refused_total", Help: "Connections that were refused because there were too many.", ConstLabels: labels,
	}, func() float64 { return float64(s.listener.Refused()) }))
}
