// Package tracing sends OpenTelemetry spans to a collector, where the standard
// variables name one (OTEL_EXPORTER_OTLP_ENDPOINT and so on). Where they name
// none, [Open] returns nil, and nothing of this package runs.
//
//	tracing, err := tracing.Open(ctx, tracing.Options{Version: version, Log: log, Registry: registry})
//	defer tracing.Close(ctx)
//
// It is the only package that knows OpenTelemetry. The others have seams of
// their own, in their own words, that a [Tracing] fits into:
//
//   - api asks a Tracer to begin and end the span of a request;
//   - scoring.Batch has a Link, for the call that several requests share;
//   - predict.Scorer is wrapped, so that each call of the endpoint has a span;
//   - modelswap tells of each renewal that has ended, whose steps become spans.
//
// Spans hold what the log and the metrics may hold, and no more: route
// patterns, statuses, numbers of rows, names of models, ids of renewals. Never
// a value, a customer, a path or a query.
//
// What a collector does cannot be felt by a caller: spans wait in a queue that
// is bounded, what does not fit is dropped and counted, and a failure is logged
// when it begins and when it ends.
package tracing
