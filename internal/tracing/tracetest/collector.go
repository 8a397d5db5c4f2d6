// Package tracetest has a collector for tests: it takes spans over the wire, as
// an OpenTelemetry collector does (OTLP over HTTP, protobuf), and keeps them.
package tracetest

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector is a collector that runs until the test ends.
type Collector struct {
	URL string

	mu    sync.Mutex
	spans []Span
	bytes [][]byte
	calls int
	fault http.HandlerFunc
}

// Span is a span as it came over the wire.
type Span struct {
	Name, TraceID, ID, ParentID string
	Kind                        string // SERVER, CLIENT, INTERNAL
	Failed                      bool
	Links                       []Link
	Attributes                  map[string]any
	Start, End                  time.Time
	Resource                    map[string]any
}

// Link names another span.
type Link struct{ TraceID, ID string }

// Start starts a collector.
func Start(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// Answer makes the collector answer by itself no more; nil: as before.
func (c *Collector) Answer(with http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = with
}

// Spans returns all spans that have come.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Calls returns the number of requests, failed ones included.
func (c *Collector) Calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}

// Contains reports whether a text came over the wire, anywhere.
func (c *Collector) Contains(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, body := range c.bytes {
		if bytes.Contains(body, []byte(text)) {
			return true
		}
	}
	return false
}

// ServeHTTP implements http.Handler.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.calls++
	fault := c.fault
	c.mu.Unlock()
	if fault != nil {
		fault(w, r)
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, "not an export of traces in protobuf", http.StatusBadRequest)
		return
	}
	body, err := read(r)
	var export collectorpb.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &export)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes = append(c.bytes, body)
	for _, resource := range export.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				c.spans = append(c.spans, decode(resource.Resource.GetAttributes(), span))
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func read(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	unzipped, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(unzipped)
}

func decode(resource []*commonpb.KeyValue, s *tracepb.Span) Span {
	out := Span{Name: s.Name, TraceID: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), ParentID: hex.EncodeToString(s.ParentSpanId),
		Kind: s.Kind.String()[len("SPAN_KIND_"):], Failed: s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR,
		Attributes: attributes(s.Attributes), Resource: attributes(resource),
		Start: time.Unix(0, int64(s.StartTimeUnixNano)).UTC(), End: time.Unix(0, int64(s.EndTimeUnixNano)).UTC()}
	for _, link := range s.Links {
		out.Links = append(out.Links, Link{hex.EncodeToString(link.TraceId), hex.EncodeToString(link.SpanId)})
	}
	return out
}

func attributes(list []*commonpb.KeyValue) map[string]any {
	out := make(map[string]any, len(list))
	for _, kv := range list {
		switch v := kv.Value.GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			out[kv.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			out[kv.Key] = v.IntValue
		default:
			out[kv.Key] = kv.Value.String()
		}
	}
	return out
}
