package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gateway"
	"gateway/api"
	"gateway/internal/demo"
	"gateway/internal/modelswap"
)

// app is the running service: newApp wires it and binds its listeners, serve
// runs it until its context ends and then stops it.
type app struct {
	cfg      Config
	log      *slog.Logger
	parts    *parts
	servers  []*http.Server
	listen   []net.Listener
	url      string      // of the listener for operators
	draining atomic.Bool // set when the service is about to stop
	// drainTime is how long a stopping service goes on taking requests, so that
	// load balancers see /readyz fail and clients let go of their connections.
	drainTime time.Duration
}

const defaultDrainTime = time.Second

// newApp opens everything and binds the listeners, so that a port that is
// taken stops the start. say tells the operator where things are.
func newApp(ctx context.Context, cfg Config, log *slog.Logger, say func(format string, args ...any)) (_ *app, err error) {
	a := &app{cfg: cfg, log: log, drainTime: defaultDrainTime}
	if a.parts, err = openLocal(ctx, cfg, log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.parts.cleanups.run(log))
		}
	}()
	tokens, made, err := adminTokens(cfg, a.parts.dir, log)
	if err != nil {
		return nil, err
	}
	if made != "" {
		say("admin token made in %s", made)
	}
	public, admin := api.New(api.Deps{
		Predict:  a.parts.service,
		Renewals: a.parts.engine,
		Importer: a.parts.importer,
		Tokens: func() []string {
			var values []string
			for _, s := range tokens.Current() {
				values = append(values, s.Reveal())
			}
			return values
		},
		Dependencies: []api.Dependency{
			{Name: "gateway", Required: true, Check: a.checkDraining},
			{Name: "model", Required: true, Check: a.parts.scorer.Ready},
			{Name: "database", Check: a.parts.store.Ping},
		},
		Status:   a.status,
		OpenAPI:  gateway.OpenAPI,
		Registry: a.parts.registry,
		Log:      log,
		SpoolDir: a.parts.dir.Path("."),
	}, api.Options{
		SeparateAdmin:    cfg.AdminAddr != "",
		AdminOpenMetrics: metricsOpen(cfg),
		Version:          version,
		EndpointName:     cfg.EndpointName,
		MaxBody:          int64(cfg.MaxBody),
		PredictTimeout:   cfg.PredictTimeout,
		CORSOrigins:      cfg.CORSOrigins,
	})
	url, err := a.bind(cfg.Addr, public)
	if err != nil {
		return nil, &usageError{fmt.Errorf("GATEWAY_ADDR: %w", err)}
	}
	a.url = url
	if admin != nil {
		if a.url, err = a.bind(cfg.AdminAddr, admin); err != nil {
			return nil, &usageError{fmt.Errorf("GATEWAY_ADMIN_ADDR: %w", err)}
		}
	}
	if err := a.parts.dir.Announce(a.url); err != nil {
		return nil, err
	}
	say("serving on %s, documentation on %s/docs", url, url)
	return a, nil
}

// metricsOpen reports whether /metrics may be read without the token: on a
// listener that only this machine reaches, or on one for operators alone.
func metricsOpen(cfg Config) bool {
	if cfg.AdminAddr != "" {
		return true
	}
	host, _, _ := net.SplitHostPort(cfg.Addr)
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// bind opens a listener and makes the server for it.
func (a *app) bind(addr string, handler http.Handler) (url string, err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	a.parts.cleanups.add("listener", func() error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	a.listen = append(a.listen, l)
	a.servers = append(a.servers, &http.Server{
		Handler:           a.sayGoodbye(handler),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute, // streams move their own deadlines
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	})
	bound := l.Addr().(*net.TCPAddr)
	host := bound.IP.String()
	if bound.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(bound.Port)), nil
}

// sayGoodbye asks clients, while the service drains, to take their next
// request elsewhere: without it a kept-alive connection would be closed under
// a request that is already on its way.
func (a *app) sayGoodbye(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

var errDraining = errors.New("the gateway is stopping")

func (a *app) checkDraining(context.Context) error {
	if a.draining.Load() {
		return errDraining
	}
	return nil
}

// serve runs the service until ctx ends, then stops it in order: readiness
// off, requests drained, renewal let go, database closed.
func (a *app) serve(ctx context.Context) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var background sync.WaitGroup
	background.Go(func() { a.parts.engine.Run(work) })
	background.Go(func() { a.startDemo(work) })

	failed := make(chan error, len(a.servers))
	for i, server := range a.servers {
		go func() {
			if err := server.Serve(a.listen[i]); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
	}
	var err error
	select {
	case <-ctx.Done():
		a.log.Info("stopping")
		a.drain()
	case err = <-failed:
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.ShutdownGrace)
	defer cancel()
	for _, server := range a.servers {
		if shutdown := server.Shutdown(grace); shutdown != nil {
			err = errors.Join(err, fmt.Errorf("requests were cut off after %s: %w", a.cfg.ShutdownGrace, shutdown), server.Close())
		}
	}
	stopWork()
	background.Wait()
	return errors.Join(err, a.parts.cleanups.run(a.log))
}

// drain turns readiness off and goes on serving for a while.
func (a *app) drain() {
	a.draining.Store(true)
	time.Sleep(min(a.drainTime, a.cfg.ShutdownGrace))
}

// demoCustomers is how many customers the demo generates.
const demoCustomers = 6000

// startDemo fills an empty customer store and starts the first renewal, so
// that a newcomer has a model within seconds. It touches nothing that holds
// real customers.
func (a *app) startDemo(ctx context.Context) {
	if !a.cfg.Demo || !demo.Fits(a.parts.schema) {
		return
	}
	err := func() error {
		count, err := a.parts.store.CountCustomers(ctx)
		if err != nil {
			return err
		}
		if count.Customers == 0 {
			customers, err := demo.Customers(a.parts.schema, demoCustomers, trainingSeed)
			if err != nil {
				return err
			}
			if _, _, err := a.parts.store.PutCustomers(ctx, customers); err != nil {
				return err
			}
			a.log.Info("generated demo customers", "customers", len(customers))
			count.Customers, count.Demo = demoCustomers, demoCustomers
		}
		serving, err := a.parts.engine.Serving(ctx)
		if err != nil || serving != "" || count.Demo < count.Customers {
			return err
		}
		_, err = a.parts.engine.Trigger(ctx, modelswap.TriggerRequest{
			Trigger: modelswap.TriggerFirst, Reason: "the first model, from generated customers"})
		return err
	}()
	if err != nil && ctx.Err() == nil {
		a.log.Error("the demo could not start", "error", err)
	}
}

// status adds to GET /admin/status what only the wiring knows.
func (a *app) status(ctx context.Context) map[string]any {
	out := map[string]any{
		"platform": a.cfg.Platform,
		"endpoint": a.cfg.EndpointName,
	}
	if count, err := a.parts.store.CountCustomers(ctx); err == nil {
		out["customers"] = map[string]any{"total": count.Customers, "labelled": count.Labelled, "demo": count.Demo}
	}
	return out
}
