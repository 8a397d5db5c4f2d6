package tracing

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"gateway/internal/outage"
)

// exporter counts the spans that are sent and lost, and logs a lasting failure once. It does
// not return errors to the SDK, which would print each of them.
type exporter struct {
	sdktrace.SpanExporter
	log     *slog.Logger
	base    context.Context // of all exports; Close cancels it
	cancel  context.CancelFunc
	exports outage.Outage

	ended, sent, failed prometheus.Counter
}

func newExporter(to sdktrace.SpanExporter, log *slog.Logger, reg prometheus.Registerer) *exporter {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_trace_spans_total",
		Help: "Sampled spans, by state: ended, sent to the collector, or failed to be sent. Spans that have ended and are in neither other state wait, or were dropped because the queue was full.",
	}, []string{"state"})
	reg.MustRegister(spans)
	e := &exporter{SpanExporter: to, log: log,
		ended: spans.WithLabelValues("ended"), sent: spans.WithLabelValues("sent"), failed: spans.WithLabelValues("failed")}
	e.base, e.cancel = context.WithCancel(context.Background())
	return e
}

// ExportSpans implements sdktrace.SpanExporter. The SDK calls it for one batch at a time,
// with a time-out.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.base, cancel)()
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		e.failed.Add(float64(len(spans)))
		e.exports.Failed(e.log.Warn, err, "cannot send spans to the collector; they are lost")
		return nil
	}
	e.sent.Add(float64(len(spans)))
	e.exports.Succeeded(e.log.Info, "spans can be sent to the collector again")
	return nil
}

// counted returns a processor that counts the spans that have ended and passes them to next.
func (e *exporter) counted(next sdktrace.SpanProcessor) sdktrace.SpanProcessor {
	return countingProcessor{next, e.ended}
}

type countingProcessor struct {
	sdktrace.SpanProcessor
	ended prometheus.Counter
}

// OnEnd implements sdktrace.SpanProcessor.
func (p countingProcessor) OnEnd(s sdktrace.ReadOnlySpan) {
	if s.SpanContext().IsSampled() {
		p.ended.Inc()
	}
	p.SpanProcessor.OnEnd(s)
}
