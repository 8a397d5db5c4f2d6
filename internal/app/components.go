package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"gateway/internal/config"
	"gateway/internal/datadir"
	"gateway/internal/idempotency"
	"gateway/internal/outbox"
	"gateway/internal/store"
	"gateway/internal/tracing"
)

// components is what all models of the process share.
type components struct {
	cfg      config.Config
	options  Options
	log      *slog.Logger
	waiting  func() // called when the start has to wait for a secret or the database
	registry *prometheus.Registry
	cleanups cleanups

	tracing      *tracing.Tracing // nil: no collector is configured
	dir          *datadir.Dir
	secretOpener *secretOpener
	store        *store.Store
	connector    *store.Connector // nil for SQLite
	outbox       *outbox.Outbox
	disk         disk
	keys         *idempotency.Guard
}

func newComponents(cfg config.Config, o Options, waiting func()) *components {
	c := &components{cfg: cfg, options: o, log: o.Log, waiting: waiting, registry: prometheus.NewRegistry()}
	c.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return c
}

// open opens what comes before the models. What it has opened when it fails is in
// the cleanups.
func (c *components) open(ctx context.Context) (err error) {
	c.openTracing(ctx)
	if c.dir, err = datadir.Open(c.cfg.DataDir); err != nil {
		return err
	}
	c.cleanups.add("data dir", c.dir.Close)
	c.secretOpener = newSecretOpener(c)
	c.cleanups.add("secrets", c.secretOpener.Close)
	return c.openDatabase(ctx)
}

// now is the time of what is recorded.
func (c *components) now() time.Time {
	if s := c.options.simulation; s != nil {
		return s.now()
	}
	return time.Now()
}

// openKeys makes the guard of idempotency keys.
func (c *components) openKeys() {
	options := idempotency.Options{TTL: c.cfg.IdempotencyTTL, MaxBytes: int64(c.cfg.IdempotencyMaxSize)}
	if c.cfg.DBSecretID == "" {
		options.Spare = c.disk.spare // the database is on the same disk
	}
	c.keys = idempotency.New(c.store, options, c.log, c.registry)
}

// measureLog registers the metric of dropped log lines.
func measureLog(reg prometheus.Registerer, dropped func() int64) {
	if dropped == nil {
		dropped = func() int64 { return 0 }
	}
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "gateway_log_lines_dropped_total", Help: "Log lines that were dropped because the log was not read fast enough, or could not be written.",
	}, func() float64 { return float64(dropped()) }))
}
