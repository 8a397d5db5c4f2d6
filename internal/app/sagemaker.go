package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/admission"
	"gateway/internal/aws"
	"gateway/internal/config"
	"gateway/internal/local"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
	"gateway/internal/scoring"
	"gateway/internal/store"
)

// followEndpoint is how often a gateway looks at an endpoint that is settled.
// An answer that fits no known model makes it look at once, whatever this is.
const followEndpoint = 10 * time.Second

// openSageMaker is the back end on SageMaker, S3 and, if the settings name a
// table, DynamoDB.
func openSageMaker(ctx context.Context, c *components, s *schema.Schema, line *store.Line) (b backEnd, err error) {
	api, err := aws.Connect(ctx, c.log)
	if err != nil {
		return b, &config.Error{Err: err}
	}
	files, err := openBucket(ctx, c, api, s)
	if err != nil {
		return b, err
	}
	measureRetries(c.registry, api)
	measureForeignAnswers(c.registry, api)
	endpoint := aws.NewEndpoint(api, files, c.cfg.EndpointName, s, aws.Formats{ContentType: c.cfg.Model.ContentType, Accept: c.cfg.Model.Accept})
	scorer := aws.NewScorer(endpoint, c.log)
	remote := openRemote(ctx, c, scorer)
	b = backEnd{
		scorer:         remote,
		files:          files,
		trainer:        aws.NewTrainer(api, files, trainingSettings(c.cfg)),
		deployer:       aws.NewDeployer(endpoint, hostingSettings(c.cfg), aws.Timing{Poll: c.cfg.RenewalPoll}, c.log),
		remote:         remote,
		noRetriesWhile: api.NoRetriesWhile,
		follow:         func(ctx context.Context, log *slog.Logger) { endpoint.Follow(ctx, followEndpoint, log) },
		poll:           c.cfg.RenewalPoll,
	}
	if b.converter, err = openConverter(c, api, files, s); err != nil {
		return b, err
	}
	if c.cfg.CustomersTable == "" {
		b.customers, b.ledger, b.count = c.store, line, c.store.CountCustomers
		b.exporter = local.NewExporter(files, c.store, s)
		return b, nil
	}
	return b, b.openTable(ctx, c, api, files, s, line)
}

// openConverter returns what converts exports in Athena; nil: the engine does.
func openConverter(c *components, api *aws.Clients, files *aws.Files, s *schema.Schema) (modelswap.Converter, error) {
	if c.cfg.Transform != config.TransformAthena {
		return nil, nil
	}
	converter, err := aws.NewConverter(aws.NewAthena(api, athenaSettings(c.cfg)), files, s)
	if err != nil {
		return nil, &config.Error{Err: fmt.Errorf("GATEWAY_TRANSFORM: %w", err)}
	}
	return converter, nil
}

func athenaSettings(cfg config.Config) aws.AthenaSettings {
	return aws.AthenaSettings{Workgroup: cfg.Athena.Workgroup, Database: cfg.Athena.Database, Output: cfg.Athena.Output}
}

// openBucket opens the bucket of exports, training data and models.
func openBucket(ctx context.Context, c *components, api *aws.Clients, s *schema.Schema) (*aws.Files, error) {
	if err := aws.CheckImage(c.cfg.Training.Algorithm, api.Region(), c.cfg.Training.Image); err != nil {
		return nil, &config.Error{Err: err}
	}
	files, err := aws.NewFiles(api, c.cfg.S3.Bucket, c.cfg.S3.Prefix, c.cfg.ExportFrom, s.Fingerprint())
	if err != nil {
		return nil, &config.Error{Err: fmt.Errorf("GATEWAY_EXPORT_FROM: %w", err)}
	}
	if err := startable(files.Check(ctx), c.log); err != nil {
		return nil, &config.Error{Err: fmt.Errorf("GATEWAY_S3_BUCKET: %w", err)}
	}
	return files, nil
}

// openTable opens the DynamoDB table that has the customers.
func (b *backEnd) openTable(ctx context.Context, c *components, api *aws.Clients, files *aws.Files, s *schema.Schema, line *store.Line) error {
	customers, err := aws.OpenCustomers(ctx, api, c.cfg.CustomersTable, s)
	if err != nil {
		return &config.Error{Err: fmt.Errorf("GATEWAY_CUSTOMERS_TABLE: %w", err)}
	}
	labels := aws.NewLabelSync(line, customers, c.log)
	b.customers, b.ledger = customers, labels
	b.count = func(ctx context.Context) (store.Counts, error) {
		n, err := customers.Count(ctx)
		return store.Counts{Customers: n, Labelled: unknownCount}, err
	}
	if c.cfg.ExportFrom != "" {
		b.exporter = aws.NewExistingExporter(files)
		return nil
	}
	only := s
	if c.cfg.ExportAll {
		only = nil
	}
	if b.exporter, err = aws.NewExporter(api, files, c.cfg.CustomersTable, labels, only); err != nil {
		return &config.Error{Err: fmt.Errorf("GATEWAY_CUSTOMERS_TABLE: %w", err)}
	}
	return nil
}

func trainingSettings(cfg config.Config) aws.TrainingSettings {
	return aws.TrainingSettings{
		Algorithm:     cfg.Training.Algorithm,
		Image:         cfg.Training.Image,
		Role:          cfg.ExecutionRoleARN,
		InstanceType:  cfg.Training.InstanceType,
		InstanceCount: cfg.Training.InstanceCount,
		VolumeGB:      cfg.Training.VolumeGB,
		Spot:          cfg.Training.Spot,
		SpotWait:      spotWait,
	}
}

func hostingSettings(cfg config.Config) aws.HostingSettings {
	return aws.HostingSettings{
		Role:          cfg.ExecutionRoleARN,
		InstanceType:  cfg.Hosting.InstanceType,
		InstanceCount: cfg.Hosting.InstanceCount,
		Strategy:      aws.Strategy(cfg.Deploy.Strategy),
		Alarms:        cfg.Deploy.Alarms,
	}
}

// openRemote makes the chain before the endpoint.
func openRemote(ctx context.Context, c *components, endpoint scoring.Endpoint) *scoring.Chain {
	cfg := c.cfg
	o := scoring.Options{
		Timeout: cfg.PredictTimeout,
		Batch:   scoring.BatchOptions{MaxRows: cfg.Batch.MaxRows, MaxWait: cfg.Batch.MaxWait, MaxBytes: aws.CallBytes},
		Breaker: scoring.BreakerOptions{Failures: cfg.Breaker.Failures, Open: cfg.Breaker.Open, Changed: func(state string) {
			c.log.Warn("the circuit breaker before the endpoint is "+state, "endpoint", cfg.EndpointName)
		}},
	}
	o.Hedge.On, o.Hedge.After, _ = cfg.HedgeAfter()
	if c.tracing != nil {
		o.Tracer = c.tracing
	}
	remote := scoring.Remote(endpoint, o, c.registry)
	c.cleanups.add("batches", func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.PredictTimeout)
		defer cancel()
		return remote.Stop(ctx)
	})
	return remote
}

// queue returns what tells the limit of the queue before the endpoint; nil where
// the model is in this process.
func (b *backEnd) queue() func() admission.Queue {
	if b.remote == nil {
		return nil
	}
	return func() admission.Queue {
		s := b.remote.Status()
		return admission.Queue{Rows: s.Queued, Wait: s.Wait, All: s.All, Call: s.Latency, StalledFor: s.Still, Trial: s.Trial}
	}
}

// measureRetries counts failed calls of the endpoint that could be retried, by result.
func measureRetries(reg prometheus.Registerer, api *aws.Clients) {
	for result, value := range map[string]func(aws.Retries) int64{
		"made":        func(r aws.Retries) int64 { return r.Made },
		"over_budget": func(r aws.Retries) int64 { return r.OverBudget },
		"held":        func(r aws.Retries) int64 { return r.Held },
	} {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "gateway_endpoint_retries_total", ConstLabels: prometheus.Labels{"result": result},
			Help: "Failed calls of the endpoint that could be retried, by result: made; over_budget, not retried because retries are limited to a tenth of all calls; held, not retried because load was being shed or the circuit breaker was not closed.",
		}, func() float64 { return float64(value(api.Retries())) }))
	}
}

// measureForeignAnswers counts answers of the endpoint that belong to other calls.
func measureForeignAnswers(reg prometheus.Registerer, api *aws.Clients) {
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "gateway_endpoint_foreign_answers_total",
		Help: "Answers of the endpoint that belong to another call: they have another number of scores, or no known model gives the probe of the call their score. The gateway discards the answer, closes the connection and makes the call again if the retry budget allows.",
	}, func() float64 { return float64(api.ForeignAnswers()) }))
}

// spotWait is how long a training job may wait for spot capacity.
const spotWait = time.Hour

// startable returns nil for the error of a service that does not answer, so that the gateway
// starts: the endpoint may answer predictions. It returns the error of a wrong setting or
// permission.
func startable(err error, log *slog.Logger) error {
	var fault *modelswap.Fault
	if errors.As(err, &fault) && fault.Class != modelswap.Input {
		log.Warn("a service of AWS does not answer; the gateway starts and tries again later", "error", err)
		return nil
	}
	return err
}
