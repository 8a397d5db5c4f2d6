package app

import (
	"context"
	"log/slog"
	"time"

	"gateway/internal/tracing"
)

// openTracing begins tracing if OpenTelemetry's variables ask for it. A gateway
// that runs for one command has no traces.
func (c *components) openTracing(ctx context.Context) {
	if c.options.ForCommand {
		return
	}
	c.tracing = tracing.Open(ctx, tracing.Options{Version: c.options.Version, Log: c.log, Registry: c.registry})
	c.cleanups.add("traces", func() error { // where the start fails; else they are closed by now
		closeTraces(context.WithoutCancel(ctx), c.tracing, c.log)
		return nil
	})
}

// lastTraces bounds how long a gateway that stops waits for the collector.
const lastTraces = 5 * time.Second

// closeTraces sends the last spans. That they are lost is no reason to call a
// stop a failure.
func closeTraces(ctx context.Context, t *tracing.Tracing, log *slog.Logger) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lastTraces)
	defer cancel()
	if err := t.Close(ctx); err != nil {
		log.Warn("traces are lost", "error", err)
	}
}
