package app

import (
	"context"
	"sync"
	"time"

	"gateway/internal/config"
	"gateway/internal/insights"
	"gateway/internal/modelswap"
	"gateway/internal/outbox"
	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/store"
)

// Model is one served model, with all that works for it: the schema of its
// customers, its rows in the database, the back end that trains and serves it, the
// service that predicts with it, the importer of its customers, and the engine that
// renews it, by a schedule too. The process holds a list of models.
type Model struct {
	backEnd
	schema   *schema.Schema
	line     *store.Line
	service  *predict.Service
	importer *predict.Importer
	engine   *modelswap.Engine
	binner   *insights.Binner
	keeper   *insights.Keeper
	reports  *insights.Reports
	watch    *insights.Watch
}

// openModels opens the models of the schemas. The outbox is between back ends
// and services: it takes the predictions of a service, and the ledger of the back
// end takes them from it. There is one outbox for all models; with several, its
// ledger must find the model of each prediction by the schema.
func openModels(ctx context.Context, c *components, schemas ...*schema.Schema) ([]*Model, error) {
	models := make([]*Model, len(schemas))
	for i, s := range schemas {
		m := &Model{schema: s}
		if err := m.openLine(ctx, c); err != nil {
			return nil, err
		}
		if err := m.openBackEnd(ctx, c); err != nil {
			return nil, err
		}
		m.openInsights(c)
		models[i] = m
	}
	ledger := models[0].ledger
	if !c.options.withoutInsights {
		ledger = insights.Ledger{Ledger: ledger, Binner: models[0].binner}
	}
	if err := c.openOutbox(ledger); err != nil {
		return nil, err
	}
	c.openKeys()
	for _, m := range models {
		if err := m.open(ctx, c); err != nil {
			return nil, err
		}
	}
	return models, nil
}

// openBackEnd opens the back end on the platform that the settings name.
func (m *Model) openBackEnd(ctx context.Context, c *components) (err error) {
	open := openLocal
	if c.cfg.Platform == config.SageMaker {
		open = openSageMaker
	}
	m.backEnd, err = open(ctx, c, m.schema, m.line)
	return err
}

// open makes what is the same on all platforms.
func (m *Model) open(ctx context.Context, c *components) error {
	m.service = predict.NewService(m.schema, m.scorer, m.customers, c.outbox, c.log, c.registry)
	if err := c.hashPersonal(ctx, m.service); err != nil {
		return err
	}
	if m.line.CountsNothing = c.options.withoutInsights; !m.line.CountsNothing {
		m.service.CountBy(m.binner)
	}
	m.service.UseClock(c.now)
	if c.cfg.Outbox.Sync == string(outbox.Database) {
		m.service.BoundRecording()
	}
	m.importer = predict.NewImporter(m.schema, m.customers)
	options, err := m.engineOptions(c)
	if err != nil {
		return err
	}
	if err := m.openReports(c); err != nil {
		return err
	}
	options.Alarm = m.alarm
	m.engine = modelswap.New(m.ports(c), options, c.log, c.registry)
	return nil
}

// ports are what the engine renews the model with.
func (m *Model) ports(c *components) modelswap.Ports {
	ports := modelswap.Ports{
		Renewals:  m.line,
		Models:    m.line,
		Schedules: m.line,
		Traffic:   recentTraffic{c.outbox, m.line},
		Exporter:  m.exporter,
		Converter: m.converter,
		Files:     m.files,
		Trainer:   m.trainer,
		Deployer:  m.deployer,
		Scorer:    m.scorer,
		Profiles:  m.line,
	}
	if wrap := c.options.WrapPorts; wrap != nil {
		return wrap(ports)
	}
	return ports
}

func (m *Model) engineOptions(c *components) (modelswap.Options, error) {
	gate, err := modelswap.ParseGate(c.cfg.Gate)
	if err != nil {
		return modelswap.Options{}, &config.Error{Err: err}
	}
	training := c.cfg.Training
	options := modelswap.Options{
		Schema:          m.schema,
		Algorithm:       training.Algorithm,
		Custom:          training.Algorithm == modelswap.CustomAlgorithm,
		Auto:            c.cfg.Platform == config.Local,
		Hyperparameters: training.Hyperparameters,
		MaxRuntime:      training.MaxRuntime,
		Gate:            gate,
		MaxShift:        c.cfg.VerifyMaxShift,
		KeepModels:      c.cfg.KeepModels,
		Schedule:        c.cfg.Retrain.Schedule,
		Outcomes:        c.cfg.Retrain.Outcomes,
		KnownOnly:       c.cfg.LearnFrom == config.LearnFromKnown,
		Probation:       time.Duration(c.cfg.Outcome.Probation),
		ManualOnly:      c.options.ForCommand,
		Now:             c.now,
		Owner:           leaseOwner(c.cfg),
		Poll:            m.poll,
		TempDir:         c.dir.TempDir(),
	}
	if s := c.options.simulation; s != nil {
		options.NewID, options.ManualOnly = s.newID, false
	}
	if c.tracing != nil {
		options.Ended = c.tracing.Renewal
	}
	return options, nil
}

// leaseOwner names this process in leases. A data dir with a database of its
// own has one process at a time: after a crash the next one bears the same
// name, and goes on at once without waiting for the lease to run out.
func leaseOwner(cfg config.Config) string {
	if cfg.DBSecretID == "" {
		return "data-dir"
	}
	return "" // a new name for each process
}

// start begins what the model does beside requests, until ctx ends: renewals, the
// demo, and following which model other processes have deployed.
func (m *Model) start(ctx context.Context, c *components, background *sync.WaitGroup) {
	background.Go(func() { m.engine.Run(ctx) })
	background.Go(func() { m.startDemo(ctx, c) })
	background.Go(func() { m.follow(ctx, c.log) })
	background.Go(func() { m.keeper.Run(ctx) })
	background.Go(func() { m.watch.Run(ctx) })
}

// recentTraffic is what models were asked lately: what waits in the outbox, and
// before that what the database has.
type recentTraffic struct {
	outbox   *outbox.Outbox
	database modelswap.Traffic
}

// RecentPredictions implements modelswap.Traffic.
func (t recentTraffic) RecentPredictions(ctx context.Context, model string, limit int) ([]predict.Prediction, error) {
	const look = 10_000 // of any model, as the database does
	recent, err := t.outbox.Recent(model, limit, look)
	if err != nil || len(recent) >= limit {
		return recent, err
	}
	waiting := make(map[string]bool, len(recent))
	for i := range recent {
		waiting[recent[i].ID] = true
	}
	stored, err := t.database.RecentPredictions(ctx, model, limit)
	for i := range stored {
		if len(recent) < limit && !waiting[stored[i].ID] { // else it has been drained in this moment
			recent = append(recent, stored[i])
		}
	}
	return recent, err
}
