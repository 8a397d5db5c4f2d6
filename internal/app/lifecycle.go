package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"gateway/internal/httpserver"
)

// maxHandling is how long a request that predicts nothing may be handled.
const maxHandling = 10 * time.Second

// addServer makes the server of a listener. Plain requests to the named paths are
// answered by package http1.
func (a *App) addServer(listener *httpserver.Listener, name string, handler http.Handler, plainPaths ...string) {
	handling := max(a.cfg.PredictTimeout, cmp.Or(a.options.maxHandling, maxHandling))
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

// Serve runs the service until ctx ends, then stops it in order: readiness
// off, requests drained, renewal let go, outbox drained, database closed.
func (a *App) Serve(ctx context.Context) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var background sync.WaitGroup
	a.startWork(work, &background)
	failed := a.startServers()
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

// startWork begins what goes on beside the requests, until ctx ends.
func (a *App) startWork(ctx context.Context, background *sync.WaitGroup) {
	c := a.components
	background.Go(func() { c.keys.Run(ctx) })
	background.Go(func() { a.signIns.Run(ctx) })
	background.Go(func() { c.outbox.Run(ctx) })
	background.Go(func() { retain(ctx, c.store, time.Duration(a.cfg.Ledger.Retention), a.log) })
	for _, m := range a.models {
		m.start(ctx, c, background)
	}
}

// startServers begins to answer. The channel tells of a server that failed.
func (a *App) startServers() <-chan error {
	failed := make(chan error, len(a.servers))
	for _, server := range a.servers {
		go func() {
			if err := server.Serve(); err != nil {
				failed <- err
			}
		}()
	}
	return failed
}

var errDraining = errors.New("the gateway is stopping")

func (a *App) checkDraining(context.Context) error {
	if a.draining.Load() {
		return errDraining
	}
	return nil
}

// stopServers turns readiness off and stops the servers without dropping a
// request, within the time of ctx.
func (a *App) stopServers(ctx context.Context) error {
	a.draining.Store(true)
	var faults []error
	for _, server := range a.servers {
		if err := server.Shutdown(ctx, a.options.DrainTime); err != nil {
			faults = append(faults, fmt.Errorf("requests were cut off after %s: %w", a.cfg.ShutdownGrace, err))
		}
	}
	return errors.Join(faults...)
}

// drainOutbox gives the database what it takes in the time that is left. The
// rest stays on disk for the next start.
func (a *App) drainOutbox(ctx context.Context) {
	err := a.components.outbox.Drain(ctx)
	if rows := a.components.outbox.Stats().Rows; rows > 0 {
		a.log.Warn("predictions stay in the outbox until the next start", "rows", rows, "error", err)
	}
}
