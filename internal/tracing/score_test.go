package tracing_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/callctx"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/scoring"
	"gateway/internal/tracing/tracetest"
)

// endpoint is a remote model. It records the trace context of each call, and answers
// when the test allows it.
type endpoint struct {
	mu   sync.Mutex
	sent []callctx.Trace
	may  chan struct{} // nil: at once
	err  error
}

// Score implements predict.Scorer.
func (e *endpoint) Score(ctx context.Context, rows []schema.Vector, _ bool) (predict.Scores, error) {
	e.mu.Lock()
	e.sent = append(e.sent, callctx.TraceOf(ctx))
	e.mu.Unlock()
	if e.may != nil {
		<-e.may
	}
	if e.err != nil {
		return predict.Scores{}, e.err
	}
	return predict.Scores{Model: "m1", Schema: "s1", Score: make([]float64, len(rows)), Label: make([]int, len(rows))}, nil
}

func (e *endpoint) calls() []callctx.Trace {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]callctx.Trace(nil), e.sent...)
}

// ask scores a row within a span.
func (b *bundle) ask(scorer predict.Scorer, parent string) error {
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, "/predict", nil)
	r.Header.Set("Traceparent", parent)
	r.Header.Set("Tracestate", "vendor=1")
	ctx, _ := b.Begin(r)
	defer b.End(ctx, "POST", "/predict", 200, 1, "m1")
	_, err := scorer.Score(ctx, []schema.Vector{{1}}, false)
	return err
}

func TestACallOfTheEndpointIsASpanInTheRequestsTrace(t *testing.T) {
	b, e := setup(t), &endpoint{}
	scorer := b.Scorer(e)
	const kept, dropped = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-aaaaaaaaaaaaaaaa8448eb211c80319c-b7ad6b7169203331-00"
	for _, parent := range []string{kept, dropped} {
		if err := b.ask(scorer, parent); err != nil {
			t.Fatal(err)
		}
	}
	e.err = &failure.Error{Kind: failure.Unavailable, Throttled: true, Detail: "too many calls for anna"}
	if err := b.ask(scorer, kept); err == nil {
		t.Fatal("no error")
	}
	if _, err := scorer.Score(t.Context(), []schema.Vector{{1}}, false); err == nil { // a renewal's, say
		t.Fatal("no error")
	}
	spans := b.sent()
	if len(spans["score"]) != 2 || len(spans["POST /predict"]) != 2 {
		t.Fatalf("got %+v, want two requests with a call each", spans)
	}
	call, request := spans["score"][0], spans["POST /predict"][0]
	if call.ParentID != request.ID || call.TraceID != request.TraceID || call.Kind != "CLIENT" || call.Failed {
		t.Errorf("the call is %+v, want it below %+v", call, request)
	}
	if diff := cmp.Diff(map[string]any{"gateway.rows": int64(1), "gateway.model": "m1"}, call.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if failed := spans["score"][1]; !failed.Failed || failed.Attributes["error.type"] != "throttled" || b.collector.Contains("anna") {
		t.Errorf("the second call is %+v, want it throttled and the error's text left out", failed)
	}
	sent := e.calls()
	if want := "00-" + call.TraceID + "-" + call.ID + "-01"; sent[0] != (callctx.Trace{Parent: want, State: "vendor=1"}) {
		t.Errorf("the endpoint was sent %+v, want %s and the caller's state", sent[0], want)
	}
	if got := sent[1].Parent; len(got) != len(dropped) || got[:36] != dropped[:36] || got[len(got)-3:] != "-00" {
		t.Errorf("a trace that is not kept was sent as %s", got)
	}
	if sent[3] != (callctx.Trace{}) {
		t.Errorf("a call in no trace was sent %+v", sent[3])
	}
}

// One call is on its way, and the requests that come meanwhile share the next.
// The gateway samples no trace itself. A request's trace is sampled if its caller
// samples it, and the shared call is sampled because one of its requests is.
func TestASharedCallLinksItsRequests(t *testing.T) {
	const sharing = 200 // more than the SDK lets a span name by itself
	b, e := setup(t, "OTEL_TRACES_SAMPLER", "parentbased_always_off"), &endpoint{may: make(chan struct{})}
	batch := scoring.NewBatch(b.Scorer(e), scoring.BatchOptions{MaxCalls: 1, Timeout: patience, Link: b.Link}, prometheus.NewRegistry())
	var asking sync.WaitGroup
	ask := func(parent string) {
		asking.Go(func() {
			if err := b.ask(batch, parent); err != nil {
				t.Error(err)
			}
		})
	}
	kept := func(i int) string { return fmt.Sprintf("00-%032x-b7ad6b7169203331-01", i+1) }
	ask(kept(sharing))
	eventually(t, "the first call is on its way", func() bool { return len(e.calls()) == 1 })
	for i := range sharing {
		ask(kept(i))
	}
	ask("00-aaaaaaaaaaaaaaaa8448eb211c80319c-b7ad6b7169203331-00") // this trace is not sampled
	eventually(t, "the others wait", func() bool { return batch.Status().Queued == sharing+1 })
	close(e.may)
	asking.Wait()
	if err := batch.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	batched := func() (tracetest.Span, bool) {
		for _, s := range b.collector.Spans() {
			if s.Name == "batch" {
				return s, true
			}
		}
		return tracetest.Span{}, false
	}
	eventually(t, "the shared call has a span", func() bool { b.Flush(t.Context()); _, ok := batched(); return ok })
	call, _ := batched()
	spans := b.sent()
	if len(spans["batch"]) != 1 || len(spans["score"]) != 2 || len(spans["POST /predict"]) != sharing+1 {
		t.Fatalf("%d batches, %d calls, %d requests; want 1, 2 and %d", len(spans["batch"]), len(spans["score"]), len(spans["POST /predict"]), sharing+1)
	}
	if call.ParentID != "" || call.Attributes["gateway.requests"] != int64(sharing+1) {
		t.Errorf("the shared call is %+v, want it in a trace of its own", call)
	}
	var requests, back []tracetest.Link
	for _, s := range spans["POST /predict"] {
		if len(s.Links) == 0 {
			continue // the one that went alone
		}
		requests, back = append(requests, tracetest.Link{TraceID: s.TraceID, ID: s.ID}), append(back, s.Links...)
	}
	byID := cmpopts.SortSlices(func(a, b tracetest.Link) bool { return a.ID < b.ID })
	if diff := cmp.Diff(requests, call.Links, byID); diff != "" || len(requests) != sharing {
		t.Errorf("%d requests know of the call; its links (-want +got):\n%s", len(requests), diff)
	}
	for _, link := range back {
		if link != (tracetest.Link{TraceID: call.TraceID, ID: call.ID}) {
			t.Errorf("a request is linked with %+v, want the shared call", link)
		}
	}
	inner := spans["score"][len(spans["score"])-1]
	if inner.ParentID != call.ID || inner.Attributes["gateway.rows"] != int64(sharing+1) {
		t.Errorf("the endpoint's call is %+v, want it below the shared one", inner)
	}
}
