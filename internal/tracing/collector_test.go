package tracing_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestACollectorThatFailsIsLoggedWhenItBeginsAndWhenItEnds(t *testing.T) {
	b := setup(t, "OTEL_BSP_SCHEDULE_DELAY", "5")
	b.collector.Answer(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no room", http.StatusInsufficientStorage) })
	for range 3 {
		before := b.collector.Calls()
		b.request(200)
		eventually(t, "the collector was asked", func() bool { return b.collector.Calls() > before })
	}
	b.collector.Answer(nil)
	b.request(200)
	eventually(t, "the collector has a span", func() bool { return len(b.collector.Spans()) > 0 })
	b.sent()
	logs := b.logs.String()
	if strings.Count(logs, "cannot send spans to the collector; they are lost") != 1 || strings.Count(logs, "spans can be sent to the collector again") != 1 ||
		!strings.Contains(logs, "no room") {
		t.Errorf("the log is %s\nwant one line when it begins, and one when it ends", logs)
	}
	err := testutil.GatherAndCompare(b.registry, strings.NewReader(`
# HELP gateway_trace_spans_total Sampled spans, by state: ended, sent to the collector, or failed to be sent. Spans that have ended and are in neither other state wait, or were dropped because the queue was full.
# TYPE gateway_trace_spans_total counter
gateway_trace_spans_total{state="ended"} 4
gateway_trace_spans_total{state="failed"} 3
gateway_trace_spans_total{state="sent"} 1
`))
	if err != nil {
		t.Error(err)
	}
}

// The collector answers only at the end of the test. A request that waited for it
// would not end before.
func TestACollectorThatHangsMakesNobodyWait(t *testing.T) {
	b := setup(t, "OTEL_BSP_SCHEDULE_DELAY", "1", "OTEL_BSP_MAX_QUEUE_SIZE", "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
	left := make(chan struct{})
	b.collector.Answer(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice
		<-r.Context().Done()               // that the gateway gives up
		close(left)
	})
	for range 10_000 {
		b.request(200)
	}
	eventually(t, "the collector was asked", func() bool { return b.collector.Calls() > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := b.Close(ctx); err == nil || !strings.Contains(err.Error(), "cannot send the last spans") {
		t.Errorf("closing says %v, want that traces are lost", err)
	}
	select {
	case <-left:
	case <-time.After(patience):
		t.Error("the call of the collector goes on after closing")
	}
	if calls := b.collector.Calls(); calls != 1 {
		t.Errorf("the collector was asked %d times, want one call at a time", calls)
	}
}

// patience is the longest wait of a test. It is far longer than any operation takes.
const patience = time.Minute

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s it is still not so that %s", patience, what)
		}
	}
}
