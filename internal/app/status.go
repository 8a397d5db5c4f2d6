package app

import (
	"context"
	"time"

	"gateway/internal/config"
	"gateway/internal/outbox"
)

// status adds to GET /admin/status what only the wiring has.
func (a *App) status(ctx context.Context) map[string]any {
	m := a.models[0]
	out := map[string]any{
		"platform": a.cfg.Platform,
		"endpoint": a.cfg.EndpointName,
		"outbox":   outboxStatus(a.cfg, a.components.outbox.Stats()),
		"secrets":  a.components.secretOpener.States(),
		"warnings": a.warnings(ctx),
	}
	if m.remote != nil {
		out["breaker"] = m.remote.Breaker().Status()
	}
	if count, err := m.count(ctx); err == nil {
		customers := map[string]any{"total": count.Customers}
		if count.Labelled != unknownCount {
			customers["labelled"], customers["demo"] = count.Labelled, count.Demo
		}
		out["customers"] = customers
	}
	return out
}

// outboxStatus is the outbox's part of /admin/status.
func outboxStatus(cfg config.Config, s outbox.Stats) map[string]any {
	out := map[string]any{
		"rows": s.Rows, "bytes": s.Bytes, "max_bytes": int64(cfg.Outbox.MaxSize), "policy": cfg.Outbox.Policy,
		"oldest_age_seconds": 0.0, "failing_since": nil,
		"dropped": s.Dropped, "set_aside": s.SetAside, "damaged_segments": s.Damaged,
	}
	if !s.Oldest.IsZero() {
		out["oldest_age_seconds"] = max(0, time.Since(s.Oldest).Seconds())
	}
	if !s.Failing.IsZero() {
		out["failing_since"] = s.Failing.Format(time.RFC3339Nano)
	}
	return out
}
