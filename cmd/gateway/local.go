package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"gateway/internal/idempotency"
	"gateway/internal/learn"
	"gateway/internal/local"
	"gateway/internal/modelswap"
	"gateway/internal/outbox"
	"gateway/internal/predict"
	"gateway/internal/store"
)

// parts is every piece of a gateway, wired, with nothing running yet.
type parts struct {
	schema    *predict.Schema
	registry  *prometheus.Registry
	vault     *vault
	store     *store.Store
	connector *store.Connector // nil for SQLite
	outbox    *outbox.Outbox
	dir       *local.DataDir
	scorer    *local.Scorer
	deployer  *local.Deployer
	service   *predict.Service
	importer  *predict.Importer
	engine    *modelswap.Engine
	keys      *idempotency.Guard
	cleanups  cleanups
}

// wrapPorts gives an engine the ports of its back end as they are. Tests of
// crashes stand in between here.
var wrapPorts = func(p modelswap.Ports) modelswap.Ports { return p }

// trainingSeed makes training repeatable: the same data gives the same model.
const trainingSeed = 1

// openLocal wires the embedded platform: everything in the data dir and in
// this process. On an error nothing is left open.
func openLocal(ctx context.Context, cfg Config, log *slog.Logger) (_ *parts, err error) {
	schema, err := cfg.schema()
	if err != nil {
		return nil, &usageError{err}
	}
	gate, err := modelswap.ParseGate(cfg.Gate)
	if err != nil {
		return nil, &usageError{err}
	}
	p := &parts{schema: schema, registry: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.cleanups.run(log))
		}
	}()
	p.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	if p.dir, err = local.OpenDataDir(cfg.DataDir); err != nil {
		return nil, err
	}
	p.cleanups.add("data dir", p.dir.Close)

	p.vault = newVault(cfg, log, p.registry)
	p.cleanups.add("secrets", p.vault.Close)

	if p.store, p.connector, err = openDatabase(ctx, cfg, p.dir, p.vault); err != nil {
		return nil, err
	}
	p.cleanups.add("database", p.store.Close)
	p.registry.MustRegister(databaseMetrics{p.store, p.connector})

	if p.outbox, err = openOutbox(cfg, p, log); err != nil {
		return nil, err
	}
	p.cleanups.add("outbox", p.outbox.Close)

	files := local.NewFiles(p.dir.Path("."))
	p.scorer = &local.Scorer{}
	p.deployer = local.NewDeployer(p.store, files.FS(ctx), cfg.EndpointName, schema, p.scorer)
	trainer := local.NewTrainer(files, trainingSeed)
	p.cleanups.add("trainer", trainer.Close)

	p.service = predict.NewService(schema, p.scorer, p.store, p.outbox, log, p.registry)
	if err := hashPersonal(cfg, p.dir, p.service, log); err != nil {
		return nil, err
	}
	p.importer = predict.NewImporter(schema, p.store)
	p.keys = idempotency.New(p.store, idempotency.Options{TTL: cfg.IdempotencyTTL}, log, p.registry)
	p.engine = modelswap.New(wrapPorts(modelswap.Ports{
		Renewals:  p.store,
		Models:    p.store,
		Schedules: p.store,
		Traffic:   p.store,
		Exporter:  local.NewExporter(files, p.store, schema),
		Files:     files,
		Trainer:   trainer,
		Deployer:  p.deployer,
		Scorer:    p.scorer,
	}), modelswap.Options{
		Schema:          schema,
		Algorithm:       cfg.Training.Algorithm,
		Hyperparameters: cfg.Training.Hyperparameters,
		MaxRuntime:      cfg.Training.MaxRuntime,
		Gate:            gate,
		MaxShift:        cfg.VerifyMaxShift,
		KeepModels:      cfg.KeepModels,
		Schedule:        cfg.Retrain.Schedule,
		Outcomes:        cfg.Retrain.Outcomes,
		Idle:            cfg.command,
		Owner:           leaseOwner(cfg),
	}, log, p.registry)

	name, err := p.deployer.Restore(ctx)
	switch {
	case errors.Is(err, learn.ErrSchema):
		// Not fatal: a renewal makes a model for the new schema. Until then
		// /readyz is 503, because no model fits.
		log.Warn("the model was made for another schema and cannot serve; renew it", "model", name, "error", err)
	case err != nil:
		return nil, err
	case name != "":
		log.Info("model restored", "model", name)
	}
	return p, nil
}

// leaseOwner names this process in leases. A data dir with a database of its
// own has one process at a time: after a crash the next one bears the same
// name, and goes on at once without waiting for the lease to run out.
func leaseOwner(cfg Config) string {
	if cfg.DBSecretID == "" {
		return "data-dir"
	}
	return "" // a new name for each process
}
