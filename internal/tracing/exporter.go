package tracing

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"gateway/internal/outage"
)

// exporter counts what is sent and what is lost, and logs a failure once. It
// keeps errors from the SDK, which would print each of them by itself.
type exporter struct {
	sdktrace.SpanExporter
	log     *slog.Logger
	base    context.Context // of every export; ends when Close loses patience
	cancel  context.CancelFunc
	exports outage.Outage

	ended, sent, failed prometheus.Counter
}

func newExporter(to sdktrace.SpanExporter, log *slog.Logger, reg prometheus.Registerer) *exporter {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_trace_spans_total",
		Help: "Spans for the collector, by what became of them: ended, sent or failed. What ended and was neither waits, or found the queue full.",
	}, []string{"state"})
	reg.MustRegister(spans)
	e := &exporter{SpanExporter: to, log: log,
		ended: spans.WithLabelValues("ended"), sent: spans.WithLabelValues("sent"), failed: spans.WithLabelValues("failed")}
	e.base, e.cancel = context.WithCancel(context.Background())
	return e
}

// ExportSpans implements sdktrace.SpanExporter. It is called for one batch at a
// time, and within a time-out.
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

// counted counts the spans that next is given.
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
