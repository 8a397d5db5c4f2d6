package app

import (
	"context"
	"log/slog"
	"time"

	"gateway/internal/datadir"
	"gateway/internal/local"
	"gateway/internal/schema"
	"gateway/internal/store"
)

// trainingSeed makes training repeatable: the same data gives the same model.
const trainingSeed = 1

// openLocal is the back end in this process and in the data dir.
func openLocal(ctx context.Context, c *components, s *schema.Schema, line *store.Line) (backEnd, error) {
	files := datadir.NewFiles(c.dir.Path("."))
	scorer := &local.Scorer{}
	deployer := local.NewDeployer(line, files.FS(ctx), c.cfg.EndpointName, s, scorer)
	trainer := local.NewTrainer(files, trainingSeed)
	trainer.UseClock(c.now)
	exporter := local.NewExporter(files, c.store, s)
	exporter.UseClock(c.now)
	c.cleanups.add("trainer", trainer.Close)

	name, err := deployer.Restore(ctx)
	switch {
	case err != nil:
		// Not fatal: a rollback or a renewal puts another model into service, and
		// the deployer tries again. Until then /readyz is 503 and says why.
		c.log.Error("the model that is to serve cannot be loaded; the gateway starts without a model: roll back to another one, or renew it",
			"model", name, "error", err)
	case name != "":
		c.log.Info("model restored", "model", name)
	default:
		warnOfSchemas(ctx, c.log, s, line)
	}
	return backEnd{
		scorer:    scorer,
		exporter:  exporter,
		files:     files,
		trainer:   trainer,
		deployer:  deployer,
		customers: c.store,
		ledger:    line,
		count:     c.store.CountCustomers,
		follow: func(ctx context.Context, log *slog.Logger) {
			deployer.Follow(ctx, followEvery, log)
		},
	}, nil
}

// warnOfSchemas says so where all models were made for other schemas.
func warnOfSchemas(ctx context.Context, log *slog.Logger, s *schema.Schema, line *store.Line) {
	models, err := line.Models(ctx)
	if err != nil || len(models) == 0 {
		return // the first start, or a database that fails, which is reported elsewhere
	}
	log.Warn("no model serves for this schema: the models of this database were made for another schema, or none has served yet; renew the model",
		"schema", s.Fingerprint(), "newest_model", models[0].Name, "its_schema", models[0].Schema)
}

// followEvery is how often a gateway looks which model another one has put
// into service.
const followEvery = 500 * time.Millisecond
