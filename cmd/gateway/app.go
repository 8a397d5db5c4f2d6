package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gateway"
	"gateway/api"
	"gateway/internal/admission"
	"gateway/internal/demo"
	"gateway/internal/failure"
	"gateway/internal/httpserver"
	"gateway/internal/modelswap"
)

// app is the running service: newApp wires it and binds its listeners, serve
// runs it until its context ends and then stops it.
type app struct {
	cfg        Config
	log        *slog.Logger
	components *components
	servers    []*httpserver.Server // the public one, and the operators' if it is separate
	signIns    *api.SignIns
	limit      *admission.Limit
	url        string      // of the listener for operators
	draining   atomic.Bool // set when the service is about to stop
	// drainTime is how long a stopping service goes on taking requests while
	// clients hold connections that they may use at any moment.
	drainTime time.Duration
}

const defaultDrainTime = 3 * time.Second

// newApp opens everything and binds the listeners, so that a port that is
// taken stops the start. say tells the operator where things are.
func newApp(ctx context.Context, cfg Config, log *slog.Logger, say func(format string, args ...any)) (_ *app, err error) {
	a := &app{cfg: cfg, log: log, drainTime: defaultDrainTime}
	var undo cleanups
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.run(log))
		}
	}()
	proxies, err := cfg.trustedProxies()
	if err != nil {
		return nil, &settingError{err}
	}
	var listeners []*httpserver.Listener
	for _, l := range []struct{ setting, addr string }{{"ADDR", cfg.Addr}, {"ADMIN_ADDR", cfg.AdminAddr}} {
		if l.addr == "" {
			continue
		}
		listener, err := httpserver.Listen(l.addr, httpserver.MaxConnections(cfg.connections()), proxies)
		if err != nil {
			return nil, &settingError{fmt.Errorf("GATEWAY_%s: %w", l.setting, err)}
		}
		undo.add("listener", listener.Close)
		listeners = append(listeners, listener)
	}
	startup := httpserver.NewStartupServer(api.Starting(), listeners...)
	undo.add("startup server", startup.Close)
	cfg.waiting = startup.Open
	if a.components, err = openComponents(ctx, cfg, log); err != nil {
		return nil, err
	}
	undo.add("back end", func() error { return a.components.cleanups.run(log) })
	tokens, made, err := a.components.secretOpener.adminTokens(ctx, cfg, a.components.dir)
	if err != nil {
		return nil, err
	}
	keys, err := a.components.secretOpener.apiKeys(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if made != "" {
		say("admin token made in %s", made)
	}
	a.signIns = api.NewSignIns(a.components.store, proxies, log, a.components.registry)
	limit := admission.NewLimit(admission.Options{Floor: cfg.Limit.Min, Ceiling: cfg.Limit.Max,
		MaxQueueWait: cfg.PredictTimeout / 4, Memory: requestMemory(cfg.memoryLimit), Streams: cfg.MaxStreams, Queue: a.components.queue()}, a.components.registry)
	a.limit = limit
	if hold := a.components.noRetriesWhile; hold != nil {
		hold(func() bool { return limit.Shedding() || !a.components.remote.Breaker().Closed() })
	}
	deps := api.Deps{
		Limit:    limit,
		Predict:  a.components.service,
		Renewals: a.components.engine,
		Importer: a.components.importer,
		Exports:  exports{a.components.store, cfg.CustomersTable},
		KeysKept: cfg.IdempotencyTTL,
		Acts:     a.components.store,
		SignIns:  a.signIns,
		Keys:     a.components.keys,
		Tokens:   tokens.valid, RenewTokens: tokens.renew,
		Dependencies: []api.Dependency{
			{Name: "gateway", Required: true, Check: a.checkDraining},
			{Name: "model", Required: true, Check: a.components.scorer.Ready},
			{Name: "database", Check: a.components.store.Check},
			{Name: "ledger", Check: a.components.outbox.Check},
			{Name: "secrets", Check: a.components.secretOpener.Check},
		},
		Status:   a.status,
		OpenAPI:  gateway.OpenAPI,
		Registry: a.components.registry,
		Log:      log,
		SpoolDir: a.components.dir.TempDir(),

		SpoolSpare: a.components.disk.spare,
	}
	if remote := a.components.remote; remote != nil {
		deps.Dependencies = append(deps.Dependencies, api.Dependency{Name: "endpoint", Check: remote.Breaker().Check})
	}
	if a.components.tracing != nil {
		deps.Tracer = a.components.tracing
	}
	if keys != nil {
		deps.APIKeys, deps.RenewAPIKeys = keys.valid, keys.renew
	}
	public, admin := api.New(deps, api.Options{
		SeparateAdmin:    cfg.AdminAddr != "",
		AdminOpenMetrics: metricsOpen(cfg),
		Version:          version,
		EndpointName:     cfg.EndpointName,
		MaxBody:          int64(cfg.MaxBody),
		MaxSpool:         int64(cfg.SpoolMaxSize),
		StreamRate:       int64(cfg.StreamMinRate),
		PredictTimeout:   cfg.PredictTimeout,
		KeyRate:          cfg.APIKeyRate,
		CORSOrigins:      cfg.CORSOrigins,
	})
	if err := startup.Close(); err != nil {
		return nil, err
	}
	a.serveOn(listeners[0], "public", public, "/predict", "/outcomes", "/endpoints/"+cfg.EndpointName+"/invocations")
	if admin != nil {
		a.serveOn(listeners[1], "admin", admin)
	}
	url := a.servers[0].URL()
	measureLog(a.components.registry, cfg.logDropped)
	a.url = a.servers[len(a.servers)-1].URL()
	if err := a.components.dir.Announce(a.url); err != nil {
		return nil, err
	}
	for _, warning := range warnings(cfg) {
		log.Warn(warning)
	}
	say("serving on %s, documentation on %s/docs", url, url)
	return a, nil
}

// metricsOpen reports whether /metrics may be read without the token: on a
// listener that only this machine reaches, or on one for operators alone.
func metricsOpen(cfg Config) bool {
	return cfg.AdminAddr != "" || onlyThisMachine(cfg.Addr)
}

// maxHandling is how long a request that predicts nothing may be handled.
const maxHandling = 10 * time.Second

// serveOn makes the server of a listener. Plain requests to the named paths are
// answered by package http1.
func (a *app) serveOn(listener *httpserver.Listener, name string, handler http.Handler, plainPaths ...string) {
	handling := max(a.cfg.PredictTimeout, cmp.Or(a.cfg.maxHandling, maxHandling))
	server := httpserver.New(listener, httpserver.Options{
		Handler:      handler,
		PlainPaths:   plainPaths,
		ReadTimeout:  a.cfg.ReadTimeout,
		WriteTimeout: a.cfg.ReadTimeout + handling + a.cfg.WriteTimeout,
		IdleTimeout:  a.cfg.IdleTimeout,
		Draining:     a.draining.Load,
		ErrorLog:     slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	})
	server.RegisterMetrics(a.components.registry, name)
	a.servers = append(a.servers, server)
}

var errDraining = errors.New("the gateway is stopping")

func (a *app) checkDraining(context.Context) error {
	if a.draining.Load() {
		return errDraining
	}
	return nil
}

// serve runs the service until ctx ends, then stops it in order: readiness
// off, requests drained, renewal let go, outbox drained, database closed.
func (a *app) serve(ctx context.Context) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var background sync.WaitGroup
	background.Go(func() { a.components.engine.Run(work) })
	background.Go(func() { a.startDemo(work) })
	background.Go(func() { a.components.keys.Run(work) })
	background.Go(func() { a.signIns.Run(work) })
	background.Go(func() { a.components.outbox.Run(work) })
	background.Go(func() { retain(work, a.components.store, time.Duration(a.cfg.Ledger.Retention), a.log) })
	background.Go(func() { a.components.follow(work, a.log) })

	failed := make(chan error, len(a.servers))
	for _, server := range a.servers {
		go func() {
			if err := server.Serve(); err != nil {
				failed <- err
			}
		}()
	}
	var err error
	select {
	case <-ctx.Done():
		a.log.Info("stopping")
	case err = <-failed:
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.ShutdownGrace)
	defer cancel()
	err = errors.Join(err, a.stopServers(grace))
	stopWork()
	background.Wait()
	background.Go(func() { closeTraces(grace, a.components.tracing, a.log) })
	a.drainOutbox(grace)
	background.Wait()
	return errors.Join(err, a.components.cleanups.run(a.log))
}

// drainOutbox gives the database what it takes in the time that is left. The
// rest stays on disk for the next start.
func (a *app) drainOutbox(ctx context.Context) {
	err := a.components.outbox.Drain(ctx)
	if rows := a.components.outbox.Stats().Rows; rows > 0 {
		a.log.Warn("predictions stay in the outbox until the next start", "rows", rows, "error", err)
	}
}

// stopServers turns readiness off and stops the servers without dropping a
// request, within the time of ctx.
func (a *app) stopServers(ctx context.Context) error {
	a.draining.Store(true)
	var faults []error
	for _, server := range a.servers {
		if err := server.Shutdown(ctx, a.drainTime); err != nil {
			faults = append(faults, fmt.Errorf("requests were cut off after %s: %w", a.cfg.ShutdownGrace, err))
		}
	}
	return errors.Join(faults...)
}

// demoCustomers is how many customers the demo generates.
const demoCustomers = 6000

// startDemo fills an empty customer store and starts the first renewal, so
// that a newcomer has a model within seconds. It touches nothing that holds
// real customers.
func (a *app) startDemo(ctx context.Context) {
	if !a.cfg.Demo || !demo.Fits(a.components.schema) {
		return
	}
	err := func() error {
		count, err := a.components.count(ctx)
		if err != nil {
			return err
		}
		// A process that died in the middle of it has left some of them.
		if count.Customers == count.Demo && count.Customers < demoCustomers {
			customers, err := demo.Customers(a.components.schema, demoCustomers, trainingSeed)
			if err != nil {
				return err
			}
			if _, _, err := a.components.customers.PutCustomers(ctx, customers); err != nil {
				return err
			}
			a.log.Info("generated demo customers", "customers", len(customers))
			count.Customers, count.Demo = demoCustomers, demoCustomers
		}
		serving, err := a.components.engine.Serving(ctx)
		if err != nil || serving != "" || count.Demo < count.Customers {
			return err
		}
		_, err = a.components.engine.Trigger(ctx, modelswap.TriggerRequest{
			Trigger: modelswap.TriggerFirst, Reason: "the first model, from generated customers"})
		return err
	}()
	var known *failure.Error
	if errors.As(err, &known) && known.Kind == failure.Conflict {
		return // the first renewal is under way since an earlier start
	}
	if err != nil && ctx.Err() == nil {
		a.log.Error("the demo could not start", "error", err)
	}
}

// status adds to GET /admin/status what only the wiring knows.
func (a *app) status(ctx context.Context) map[string]any {
	out := map[string]any{
		"platform": a.cfg.Platform,
		"endpoint": a.cfg.EndpointName,
		"outbox":   outboxStatus(a.cfg, a.components.outbox.Stats()),
		"secrets":  a.components.secretOpener.States(),
		"warnings": warnings(a.cfg),
	}
	if remote := a.components.remote; remote != nil {
		out["breaker"] = remote.Breaker().Status()
	}
	if count, err := a.components.count(ctx); err == nil {
		customers := map[string]any{"total": count.Customers}
		if count.Labelled != unknownCount {
			customers["labelled"], customers["demo"] = count.Labelled, count.Demo
		}
		out["customers"] = customers
	}
	return out
}
