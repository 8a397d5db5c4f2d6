//go:build unix

package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gateway/api"
	"gateway/internal/config"
	"gateway/internal/gatewaytest"
)

const streamHead = "POST /predict/batch HTTP/1.1\r\nHost: g\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"

// asOthers sends predictions as a caller does who does nothing wrong, and tells
// how long the middle and the slowest of a hundred took.
func (g *gatewayUnderTest) asOthers(t *testing.T, count int) (p50, p99 time.Duration) {
	t.Helper()
	took := make([]time.Duration, count)
	for i := range took {
		start := time.Now()
		g.predicts(t)
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[count/2], took[count*99/100]
}

// TestSlowStreamsTakeNoPlaces: 130 streams that send a byte now and then held
// all places of the admission limit once.
func TestSlowStreamsTakeNoPlaces(t *testing.T) {
	g := besieged(t, func(cfg *config.Config, _ *Options) { cfg.Limit = config.LimitConfig{Min: 256, Max: 1024} })
	before := g.idleGoroutines(t)
	quiet50, quiet99 := g.asOthers(t, 297)
	conns := g.dial(t, 130)
	for _, conn := range conns {
		fmt.Fprint(conn, streamHead+"1\r\n{\r\n") // and then nothing
	}
	gatewaytest.Eventually(t, "one caller has half of the streams", func() bool { return g.limit.Status().Streams == 64 })
	p50, p99 := g.asOthers(t, 297)
	t.Logf("predictions beside 130 slow streams: p50 %v, p99 %v; without: %v, %v", p50, p99, quiet50, quiet99)
	if s := g.limit.Status(); s.InUse != 0 || s.Streams != 64 {
		t.Errorf("%+v", s)
	}
	refused := 0
	for _, conn := range conns {
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if isTimeout(err) {
			continue // it was let in, and may take its time
		}
		if err != nil {
			t.Fatal(err)
		}
		refused++
		wantProblem(t, res, http.StatusTooManyRequests, "urn:gateway:problem:too-many-requests")
	}
	if refused != 130-64 {
		t.Errorf("%d streams were refused", refused)
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	g.quiet(t, before)
}

// TestUnreadAnswersTakeNoPlaces: there are four places, and two lists that take
// two each, whose answers are not read.
func TestUnreadAnswersTakeNoPlaces(t *testing.T) {
	g := besieged(t, func(cfg *config.Config, _ *Options) {
		cfg.ReadTimeout, cfg.WriteTimeout = 10*time.Second, 30*time.Second
	})
	before := g.idleGoroutines(t)
	body := `{"outcomes":[` + strings.Repeat(`{},`, 9_999) + `{}]}`
	conns := make([]net.Conn, 4)
	for i := range conns {
		conns[i] = g.dialSmall(t)
		fmt.Fprintf(conns[i], "POST /outcomes HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if _, err := io.ReadFull(conns[i], make([]byte, 1)); err != nil { // the answer has begun
			t.Fatal(err)
		}
	}
	for range 20 {
		g.predicts(t)
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	g.quiet(t, before)
}

// TestAnImportThatStandsHoldsNoTransaction: a thousand rows have come, and the
// rest does not.
func TestAnImportThatStandsHoldsNoTransaction(t *testing.T) {
	g := besieged(t, nil)
	rows := strings.Repeat("{}\n", 1000)
	conn := g.dial(t, 1)[0]
	fmt.Fprintf(conn, "POST /admin/customers HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n",
		g.client.Token, len(rows), rows)
	if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil { // bad rows are reported
		t.Fatal(err)
	}
	p, err := g.client.Predict(t.Context(), api.PredictionRequest{Features: gatewaytest.Sample()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), gatewaytest.Patience)
	defer cancel()
	gatewaytest.Eventually(t, "an outcome is taken", func() bool {
		_, err := g.client.Outcome(ctx, api.Outcome{PredictionID: p.PredictionID, Outcome: 1})
		return err == nil
	})
}

// dialSmall opens a connection that takes little before it is read.
func (g *gatewayUnderTest) dialSmall(t *testing.T) net.Conn {
	t.Helper()
	conn, err := smallDialer.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(gatewaytest.Patience))
	return conn
}
