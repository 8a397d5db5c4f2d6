package main

import (
	"io"
	"net"
	"time"

	"gateway/internal/http1"

	"github.com/prometheus/client_golang/prometheus"
)

// handlesKept is how many of the files that a process may have open are kept
// for all else: the database, the endpoint, the outbox.
const handlesKept = 512

// maxConnections is how many a listener may have open: as many as are asked
// for, unless the process may not have as many files.
func maxConnections(asked int) int64 {
	most := int64(asked)
	if handles := handleLimit(); handles > 0 {
		most = min(most, max(1, handles-handlesKept, handles/2))
	}
	return most
}

// tooMany is what a connection is told that there is no room for. There is no
// request yet, so there is no id.
const tooMany = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n" +
	"Retry-After: 1\r\nConnection: close\r\nContent-Length: 142\r\n\r\n" + tooManyProblem

const tooManyProblem = `{"type":"urn:gateway:problem:unavailable","title":"Unavailable","status":503,"detail":"there are as many connections as the service can take"}`

// goodbyes bounds the connections that are being turned away.
var goodbyes = make(chan struct{}, 64)

// turnAway closes a connection, and says why where that costs little: a client
// whose request is not read would else see a reset, and not the answer.
func turnAway(conn net.Conn) {
	select {
	case goodbyes <- struct{}{}:
	default:
		_ = conn.Close()
		return
	}
	go func() {
		defer func() { <-goodbyes }()
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		if _, err := io.WriteString(conn, tooMany); err != nil {
			return
		}
		if half, ok := conn.(*net.TCPConn); ok && half.CloseWrite() == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(conn, 64<<10))
		}
	}()
}

// measureListeners tells of the connections of each listener, and of how many
// of them are read before net/http.
func measureListeners(reg prometheus.Registerer, listeners []*drainListener, fronts []*http1.Listener) {
	for i, l := range listeners {
		labels := prometheus.Labels{"listener": []string{"public", "admin"}[i]}
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gateway_connections", Help: "Open connections of clients.", ConstLabels: labels,
		}, func() float64 { return float64(l.open()) }))
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gateway_connections_plain", Help: "Those of them on which all requests have been plain so far, which makes them cheap.", ConstLabels: labels,
		}, func() float64 { return float64(fronts[i].Open()) }))
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gateway_connections_max", Help: "The most connections that may be open.", ConstLabels: labels,
		}, func() float64 { return float64(l.most) }))
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "gateway_connections_refused_total", Help: "Connections that were closed at once because there were too many.", ConstLabels: labels,
		}, func() float64 { return float64(l.turned.Load()) }))
	}
}
