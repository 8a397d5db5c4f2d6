package tracing

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"gateway/internal/modelswap"
)

// Renewal makes a trace of a renewal that has ended: one span for the renewal and one for
// each step that ran. It uses the record of the renewal, because several processes may have
// worked on it. A renewal that is resumed and ends again gets a second trace. Renewal is a
// value for modelswap.Options.Ended.
func (t *Tracing) Renewal(r *modelswap.Renewal) {
	ctx, span := t.tracer.Start(context.Background(), "renewal", trace.WithNewRoot(), trace.WithTimestamp(r.CreatedAt),
		trace.WithAttributes(renewalKey.String(r.ID), triggerKey.String(r.Trigger), statusKey.String(string(r.Status))))
	for i := range r.Steps {
		t.step(ctx, &r.Steps[i])
	}
	if r.Model != nil {
		span.SetAttributes(modelKey.String(*r.Model))
	}
	if r.Status == modelswap.Failed {
		span.SetStatus(codes.Error, "")
	}
	span.End(trace.WithTimestamp(*r.FinishedAt))
}

func (t *Tracing) step(ctx context.Context, s *modelswap.Step) {
	if s.StartedAt == nil || s.FinishedAt == nil {
		return
	}
	_, span := t.tracer.Start(ctx, "renewal "+string(s.Name), trace.WithTimestamp(*s.StartedAt),
		trace.WithAttributes(stepKey.String(string(s.Name)), statusKey.String(string(s.Status)), attemptKey.Int(s.Attempt)))
	if s.Status == modelswap.StepFailed {
		span.SetStatus(codes.Error, "")
	}
	span.End(trace.WithTimestamp(*s.FinishedAt))
}
