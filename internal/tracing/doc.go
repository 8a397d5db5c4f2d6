// Package tracing sends OpenTelemetry spans to a collector if the standard environment
// variables configure one (OTEL_EXPORTER_OTLP_ENDPOINT and so on). Otherwise [Open] returns
// nil, and nothing is traced.
//
//	tracing, err := tracing.Open(ctx, tracing.Options{Version: version, Log: log, Registry: registry})
//	defer tracing.Close(ctx)
//
// It is the only package that imports OpenTelemetry. A [Tracing] implements interfaces and
// function types of other packages:
//
//   - api calls a Tracer at the begin and at the end of a request;
//   - scoring.Batch calls a Link for a call that several requests share;
//   - Scorer wraps a predict.Scorer, so that each call of the endpoint has a span;
//   - modelswap calls Ended for each renewal that has ended. Its steps become spans.
//
// Like logs and metrics, spans contain route patterns, statuses, numbers of rows, names of
// models and ids of renewals. They contain no values, customers, paths and queries.
//
// A slow or failing collector does not delay callers. Spans wait in a bounded queue. Spans
// beyond that bound are dropped and counted. A failure is logged when it begins and when it
// ends.
package tracing
