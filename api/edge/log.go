package edge

import (
	"log/slog"
	"time"
)

// finish counts a request that is over, and writes its line to the log.
func (e *Edge) finish(x *exchange, method string, took time.Duration) {
	route, method, status := patternOf(&x.context.route), knownMethod(method), x.Status()
	e.metrics.count(route, method, status, took)
	if key := x.Call.Caller; key != "" {
		e.metrics.countKey(key, status)
	}
	level := slog.LevelInfo
	switch {
	case isProbe(route):
		// Probes come every few seconds; what they find is logged when it changes.
		level = slog.LevelDebug
	case status >= 500 || x.stack != nil || x.problem != nil && x.problem.Status >= 500:
		level = slog.LevelError
	}
	if !e.d.Log.Enabled(&x.context, level) {
		return
	}
	// Not by a method of Logger, which looks up the caller's line for each record.
	record := slog.NewRecord(x.Start.Add(took), level, "request", 0)
	x.addAttrs(&record, method, route, status, took)
	_ = e.d.Log.Handler().Handle(&x.context, record)
}

// addAttrs adds the attributes of the log line.
func (q *Request) addAttrs(record *slog.Record, method, route string, status int, took time.Duration) {
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs,
		slog.String("request_id", q.ID),
		slog.String("method", method),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Int64("latency_us", took.Microseconds()), // an integer, because the JSON handler encodes a float by reflection
		slog.Int64("bytes", q.response.bytes))
	addText := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	addText("trace_id", q.trace)
	if q.Rows > 0 {
		attrs = append(attrs, slog.Int("rows", q.Rows))
	}
	addText("model", q.Model)
	addText("idempotency", q.Idempotency)
	addText("api_key", q.Call.Caller)
	addText("token", q.Token)
	if q.err != nil {
		attrs = append(attrs, slog.String("error", q.errorText()))
	}
	addText("stack", string(q.stack))
	record.AddAttrs(attrs...)
}
