package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/admission"
	"gateway/internal/aws"
	"gateway/internal/local"
	"gateway/internal/modelswap"
	"gateway/internal/scoring"
	"gateway/internal/store"
)

// followEndpoint is how often a gateway looks at an endpoint that is settled.
// An answer that fits no known model makes it look at once, whatever this is.
const followEndpoint = 10 * time.Second

// openAWS is the back end on SageMaker, S3 and, if the settings name a table,
// DynamoDB.
func openAWS(ctx context.Context, cfg Config, p *components, log *slog.Logger) (b backEnd, err error) {
	api, err := aws.Connect(ctx, log)
	if err != nil {
		return b, &settingError{err}
	}
	if err := aws.CheckImage(cfg.Training.Algorithm, api.Region(), cfg.Training.Image); err != nil {
		return b, &settingError{err}
	}
	files, err := aws.NewFiles(api, cfg.S3.Bucket, cfg.S3.Prefix, cfg.ExportFrom, p.schema.Fingerprint())
	if err != nil {
		return b, &settingError{fmt.Errorf("GATEWAY_EXPORT_FROM: %w", err)}
	}
	if err := startable(files.Check(ctx), log); err != nil {
		return b, &settingError{fmt.Errorf("GATEWAY_S3_BUCKET: %w", err)}
	}
	endpoint := aws.NewEndpoint(api, files, cfg.EndpointName, p.schema, aws.Formats{ContentType: cfg.Model.ContentType, Accept: cfg.Model.Accept})
	remote := openRemote(ctx, cfg, p, aws.NewScorer(endpoint, log), log)
	measureRetries(p.registry, api)
	measureForeignAnswers(p.registry, api)
	b = backEnd{
		scorer: remote,
		files:  files,
		trainer: aws.NewTrainer(api, files, aws.TrainingSettings{
			Algorithm: cfg.Training.Algorithm, Image: cfg.Training.Image, Role: cfg.ExecutionRoleARN,
			InstanceType: cfg.Training.InstanceType, InstanceCount: cfg.Training.InstanceCount, VolumeGB: cfg.Training.VolumeGB,
			Spot: cfg.Training.Spot, SpotWait: spotWait,
		}),
		deployer: aws.NewDeployer(endpoint, aws.HostingSettings{
			Role: cfg.ExecutionRoleARN, InstanceType: cfg.Hosting.InstanceType, InstanceCount: cfg.Hosting.InstanceCount,
			Strategy: aws.Strategy(cfg.Deploy.Strategy), Alarms: cfg.Deploy.Alarms,
		}, aws.Timing{Poll: cfg.RenewalPoll}, log),
		remote: remote, noRetriesWhile: api.NoRetriesWhile,
		follow: func(ctx context.Context, log *slog.Logger) { endpoint.Follow(ctx, followEndpoint, log) },
		poll:   cfg.RenewalPoll,
	}
	if cfg.CustomersTable == "" {
		b.customers, b.ledger, b.count = p.store, p.store, p.store.CountCustomers
		b.exporter = local.NewExporter(files, p.store, p.schema)
		return b, nil
	}
	customers, err := aws.OpenCustomers(ctx, api, cfg.CustomersTable, p.schema)
	if err != nil {
		return b, &settingError{fmt.Errorf("GATEWAY_CUSTOMERS_TABLE: %w", err)}
	}
	labels := aws.NewLabels(p.store, customers, log)
	b.customers, b.ledger = customers, labels
	b.count = func(ctx context.Context) (store.Counts, error) {
		n, err := customers.Count(ctx)
		return store.Counts{Customers: n, Labelled: unknownCount}, err
	}
	b.exporter = aws.NewExporter(api, files, cfg.CustomersTable, labels)
	if cfg.ExportFrom != "" {
		b.exporter = aws.NewExistingExporter(files)
	}
	return b, nil
}

// openRemote makes the chain before the endpoint.
func openRemote(ctx context.Context, cfg Config, p *components, endpoint scoring.Endpoint, log *slog.Logger) *scoring.Chain {
	o := scoring.Options{
		Timeout: cfg.PredictTimeout,
		Batch:   scoring.BatchOptions{MaxRows: cfg.Batch.MaxRows, MaxWait: cfg.Batch.MaxWait, MaxBytes: aws.CallBytes},
		Breaker: scoring.BreakerOptions{Failures: cfg.Breaker.Failures, Open: cfg.Breaker.Open, Changed: func(state string) {
			log.Warn("the circuit breaker before the endpoint is "+state, "endpoint", cfg.EndpointName)
		}},
	}
	o.Hedge.On, o.Hedge.After, _ = cfg.hedge()
	if p.tracing != nil {
		o.Tracer = p.tracing
	}
	remote := scoring.Remote(endpoint, o, p.registry)
	p.cleanups.add("batches", func() error {
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

// measureRetries tells what became of calls that could be repeated.
func measureRetries(reg prometheus.Registerer, api *aws.Clients) {
	for result, value := range map[string]func(aws.Retries) int64{
		"made":        func(r aws.Retries) int64 { return r.Made },
		"over_budget": func(r aws.Retries) int64 { return r.OverBudget },
		"held":        func(r aws.Retries) int64 { return r.Held },
	} {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "gateway_endpoint_retries_total", ConstLabels: prometheus.Labels{"result": result},
			Help: "Calls of the endpoint that failed and could be repeated: made again; not, because a tenth of all calls were already; not, because load was being shed or the breaker was not closed.",
		}, func() float64 { return float64(value(api.Retries())) }))
	}
}

// measureForeignAnswers counts answers of the endpoint that were not their calls'.
func measureForeignAnswers(reg prometheus.Registerer, api *aws.Clients) {
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "gateway_endpoint_foreign_answers_total",
		Help: "Answers of the endpoint that did not fit their call: another number of scores, or no score that a known model gives the call's probe. The answer is discarded, its connection closed, and the call made again if the retry budget allows.",
	}, func() float64 { return float64(api.ForeignAnswers()) }))
}

// spotWait is how long a training job may wait for spare machines.
const spotWait = time.Hour

// startable lets a gateway start while a service does not answer: what serves
// can serve. A setting or a permission that is wrong stops it.
func startable(err error, log *slog.Logger) error {
	var fault *modelswap.Fault
	if errors.As(err, &fault) && fault.Class != modelswap.Input {
		log.Warn("a service does not answer; the gateway starts nevertheless", "error", err)
		return nil
	}
	return err
}
