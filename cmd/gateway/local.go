package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"gateway/internal/datadir"
	"gateway/internal/idempotency"
	"gateway/internal/local"
	"gateway/internal/modelswap"
	"gateway/internal/outbox"
	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/scoring"
	"gateway/internal/store"
	"gateway/internal/tracing"
)

// components is every piece of a gateway, wired, with nothing running yet.
type components struct {
	backEnd
	schema       *schema.Schema
	registry     *prometheus.Registry
	tracing      *tracing.Tracing // nil: no collector is configured
	secretOpener *secretOpener
	store        *store.Store
	connector    *store.Connector // nil for SQLite
	outbox       *outbox.Outbox
	disk         disk
	dir          *datadir.Dir
	service      *predict.Service
	importer     *predict.Importer
	engine       *modelswap.Engine
	keys         *idempotency.Guard
	cleanups     cleanups
}

// backEnd is what differs between the platforms.
type backEnd struct {
	scorer    liveScorer
	exporter  modelswap.Exporter
	files     modelswap.Files
	trainer   modelswap.Trainer
	deployer  modelswap.Deployer
	customers customerStore
	ledger    predict.Ledger
	// count counts the customers. What the platform does not count is
	// unknownCount.
	count func(context.Context) (store.Counts, error)
	// follow keeps up, until ctx ends, with which model serves.
	follow func(ctx context.Context, log *slog.Logger)
	// remote is the chain before the endpoint, the same as scorer. Nil, as the
	// next: the model is in this process.
	remote *scoring.Chain
	// noRetriesWhile stops the repeating of its calls while a function says so.
	noRetriesWhile func(func() bool)
	// poll is how often to look at work that takes time; zero: the engine's own.
	poll time.Duration
}

// unknownCount stands for what the platform does not count.
const unknownCount = -1

type liveScorer interface {
	predict.Scorer
	Ready(context.Context) error
}

type customerStore interface {
	predict.Customers
	predict.CustomerStore
}

// wrapPorts gives an engine the ports of its back end as they are. Tests of
// crashes stand in between here.
var wrapPorts = func(p modelswap.Ports) modelswap.Ports { return p }

// trainingSeed makes training repeatable: the same data gives the same model.
const trainingSeed = 1

// openComponents wires a gateway on the platform that the settings name. On an error
// nothing is left open.
func openComponents(ctx context.Context, cfg Config, log *slog.Logger) (_ *components, err error) {
	schema, err := cfg.schema()
	if err != nil {
		return nil, &settingError{err}
	}
	gate, err := modelswap.ParseGate(cfg.Gate)
	if err != nil {
		return nil, &settingError{err}
	}
	p := &components{schema: schema, registry: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.cleanups.run(log))
		}
	}()
	p.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	openTracing(ctx, cfg, p, log)

	if p.dir, err = datadir.Open(cfg.DataDir); err != nil {
		return nil, err
	}
	p.cleanups.add("data dir", p.dir.Close)

	p.secretOpener = newVault(cfg, log, p.registry)
	p.cleanups.add("secrets", p.secretOpener.Close)

	if p.store, p.connector, err = openDatabase(ctx, cfg, p.dir, p.secretOpener, log); err != nil {
		return nil, err
	}
	p.cleanups.add("database", p.store.Close)
	p.cleanups.add("database check", checkPages(ctx, p.store, log))
	p.registry.MustRegister(databaseMetrics{p.store, p.connector})

	open := openLocal
	if cfg.Platform == onSageMaker {
		open = openAWS
	}
	if p.backEnd, err = open(ctx, cfg, p, log); err != nil {
		return nil, err
	}
	if p.outbox, err = openOutbox(cfg, p, log); err != nil {
		return nil, err
	}
	p.cleanups.add("outbox", p.outbox.Close)
	p.disk = disk{p.dir, int64(cfg.Outbox.MaxSize), func() int64 { return p.outbox.Stats().Bytes }}
	p.disk.warn(log)

	p.service = predict.NewService(schema, p.scorer, p.customers, p.outbox, log, p.registry)
	if err := hashPersonal(ctx, cfg, p.dir, p.service, log); err != nil {
		return nil, err
	}
	p.importer = predict.NewImporter(schema, p.customers)
	keys := idempotency.Options{TTL: cfg.IdempotencyTTL, MaxBytes: int64(cfg.IdempotencyMaxSize)}
	if cfg.DBSecretID == "" {
		keys.Spare = p.disk.spare // the database is on the same disk
	}
	p.keys = idempotency.New(p.store, keys, log, p.registry)
	p.engine = modelswap.New(wrapPorts(modelswap.Ports{
		Renewals:  p.store,
		Models:    p.store,
		Schedules: p.store,
		Traffic:   recentTraffic{p.outbox, p.store},
		Exporter:  p.exporter,
		Files:     p.files,
		Trainer:   p.trainer,
		Deployer:  p.deployer,
		Scorer:    p.scorer,
	}), modelswap.Options{
		Schema:          schema,
		Algorithm:       cfg.Training.Algorithm,
		Custom:          cfg.Training.Algorithm == modelswap.CustomAlgorithm,
		Hyperparameters: cfg.Training.Hyperparameters,
		MaxRuntime:      cfg.Training.MaxRuntime,
		Gate:            gate,
		MaxShift:        cfg.VerifyMaxShift,
		KeepModels:      cfg.KeepModels,
		Schedule:        cfg.Retrain.Schedule,
		Outcomes:        cfg.Retrain.Outcomes,
		KnownOnly:       cfg.LearnFrom == learnFromKnown,
		Probation:       time.Duration(cfg.Outcome.Probation),
		ManualOnly:      cfg.command,
		Owner:           leaseOwner(cfg),
		Poll:            p.poll,
		TempDir:         p.dir.TempDir(),
		Ended:           p.traceRenewals(),
	}, log, p.registry)
	return p, nil
}

// openLocal is the back end in this process and in the data dir.
func openLocal(ctx context.Context, cfg Config, p *components, log *slog.Logger) (backEnd, error) {
	files := datadir.NewFiles(p.dir.Path("."))
	scorer := &local.Scorer{}
	deployer := local.NewDeployer(p.store, files.FS(ctx), cfg.EndpointName, p.schema, scorer)
	trainer := local.NewTrainer(files, trainingSeed)
	p.cleanups.add("trainer", trainer.Close)

	name, err := deployer.Restore(ctx)
	switch {
	case err != nil:
		// Not fatal: a rollback or a renewal puts another model into service, and
		// the deployer tries again. Until then /readyz is 503 and says why.
		log.Error("the model that is to serve cannot be loaded; the gateway starts without a model: roll back to another one, or renew it",
			"model", name, "error", err)
	case name != "":
		log.Info("model restored", "model", name)
	default:
		warnOfSchemas(ctx, p, log)
	}
	return backEnd{
		scorer:    scorer,
		exporter:  local.NewExporter(files, p.store, p.schema),
		files:     files,
		trainer:   trainer,
		deployer:  deployer,
		customers: p.store,
		ledger:    p.store,
		count:     p.store.CountCustomers,
		follow: func(ctx context.Context, log *slog.Logger) {
			deployer.Follow(ctx, followEvery, log)
		},
	}, nil
}

// warnOfSchemas says so where all models were made for other schemas.
func warnOfSchemas(ctx context.Context, p *components, log *slog.Logger) {
	models, err := p.store.Models(ctx)
	if err != nil || len(models) == 0 {
		return // the first start, or a database that fails, which is reported elsewhere
	}
	log.Warn("no model serves for this schema: the models of this database were made for another schema, or none has served yet; renew the model",
		"schema", p.schema.Fingerprint(), "newest_model", models[0].Name, "its_schema", models[0].Schema)
}

// followEvery is how often a gateway looks which model another one has put
// into service.
const followEvery = 500 * time.Millisecond

// leaseOwner names this process in leases. A data dir with a database of its
// own has one process at a time: after a crash the next one bears the same
// name, and goes on at once without waiting for the lease to run out.
func leaseOwner(cfg Config) string {
	if cfg.DBSecretID == "" {
		return "data-dir"
	}
	return "" // a new name for each process
}
