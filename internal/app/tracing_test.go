package app

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"gateway/api"
	"gateway/internal/demo"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
	"gateway/internal/tracing/tracetest"
)

// TestTracesOfRequestsCallsAndRenewals runs the whole gateway on the stand-in
// of SageMaker with a collector beside it.
func TestTracesOfRequestsCallsAndRenewals(t *testing.T) {
	collector, s := tracetest.Start(t), gatewaytest.StartSandbox(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	g := start(t, awsConfig(t, s, "OTEL_SERVICE_NAME", "predictions"))
	few, err := demo.Customers(schema.Bank(), 3000, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := g.models[0].customers.PutCustomers(t.Context(), few); err != nil {
		t.Fatal(err)
	}
	renewal := g.renew(t, api.RetrainRequest{Reason: "secret-reason"})
	if renewal.Status != modelswap.Succeeded {
		t.Fatalf("the renewal is %s: %s\n%s", renewal.Status, renewal.Error, g.logs)
	}
	g.ready(t)

	const caller = "0af7651916cd43dd8448eb211c80319c"
	body, err := json.Marshal(api.PredictionRequest{CustomerID: "secret-customer", Features: gatewaytest.Sample()})
	if err != nil {
		t.Fatal(err)
	}
	predictOnce := func(parent string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/predict?q=secret-query", strings.NewReader(string(body)))
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Traceparent", parent)
		res, err := g.client.HTTP.Do(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		if answer, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
			t.Errorf("status %d: %s", res.StatusCode, answer)
		}
	}
	predictOnce("00-" + caller + "-b7ad6b7169203331-01")
	// Others together, until some have shared a call.
	shared := func() bool {
		return slices.ContainsFunc(collector.Spans(), func(s tracetest.Span) bool { return s.Name == "batch" && len(s.Links) > 1 })
	}
	gatewaytest.Eventually(t, "requests have shared a call", func() bool {
		var asking sync.WaitGroup
		for range 50 {
			asking.Go(func() { predictOnce("") })
		}
		asking.Wait()
		g.components.tracing.Flush(t.Context())
		return shared()
	})
	logs := g.logs.String()
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(logs, `"route":"/predict","status":200,`) || !strings.Contains(logs, `"trace_id":"`+caller+`"`) {
		t.Error("the log does not have the caller's trace")
	}

	spans := collector.Spans()
	byID := make(map[string]tracetest.Span)
	count := make(map[string]int)
	for _, span := range spans {
		byID[span.ID] = span
		count[span.Name]++
		if span.Resource["service.name"] != "predictions" {
			t.Errorf("%s is of the service %v", span.Name, span.Resource["service.name"])
		}
	}
	for _, span := range spans {
		switch {
		case span.Name == "batch":
			for _, link := range span.Links {
				if of := byID[link.ID]; of.Name != "POST /predict" || of.TraceID != link.TraceID {
					t.Errorf("a shared call is linked with %+v", of)
				}
			}
		case span.Name == "score" && span.TraceID == caller:
			if of := byID[span.ParentID]; of.Name != "POST /predict" || of.ParentID != "b7ad6b7169203331" {
				t.Errorf("the call in the caller's trace is below %+v", of)
			}
		case span.Name == "renewal":
			if span.Attributes["gateway.renewal"] != renewal.ID || span.Failed {
				t.Errorf("the renewal is %+v", span)
			}
		}
	}
	for _, name := range modelswap.Order() {
		if count["renewal "+string(name)] != 1 {
			t.Errorf("%d spans of the step %s", count["renewal "+string(name)], name)
		}
	}
	for _, name := range []string{"GET /readyz", "GET /metrics"} {
		if count[name] > 0 {
			t.Errorf("%d spans of %s", count[name], name)
		}
	}
	for _, text := range []string{"secret", "technician", "nr_employed", "4991.6", "127.0.0.1", g.client.Token} {
		if collector.Contains(text) {
			t.Errorf("%q came over the wire", text)
		}
	}
}
