package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"gateway/internal/config"
	"gateway/internal/outbox"
)

// Function is a gateway without listeners, in a process that may be frozen or ended whenever
// it handles nothing. So each prediction is in the database before its answer, and what a
// service does in the background Work does when it is called.
type Function struct {
	app        *App
	handler    http.Handler
	stop       context.CancelFunc
	background sync.WaitGroup
	working    sync.Mutex
}

// OpenFunction opens a gateway for Lambda. An error that a setting causes is a *config.Error.
func OpenFunction(ctx context.Context, cfg config.Config, o Options) (_ *Function, err error) {
	if err := checkFunction(cfg); err != nil {
		return nil, &config.Error{Err: err}
	}
	o.function = true
	f := &Function{app: &App{cfg: cfg, options: o, log: o.Log, separate: cfg.LambdaRoutes != config.RoutesOfAll}}
	var undo cleanups
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.run(o.Log))
		}
	}()
	proxies, err := cfg.Proxies()
	if err != nil {
		return nil, &config.Error{Err: err}
	}
	public, admin, err := f.app.open(ctx, proxies, func() {}, &undo)
	if err != nil {
		return nil, err
	}
	if f.handler = public; cfg.LambdaRoutes == config.RoutesOfOperators {
		f.handler = admin
	}
	for _, warning := range f.app.warnings(ctx) {
		o.Log.Warn(warning)
	}
	f.follow(ctx)
	o.Log.Info("the function takes events", "routes", cfg.LambdaRoutes, "version", o.Version)
	return f, nil
}

// checkFunction reports settings that need a process that lasts, or a disk of its own.
func checkFunction(cfg config.Config) error {
	var faults []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	need(cfg.Platform == config.SageMaker, "GATEWAY_PLATFORM: must be sagemaker on Lambda: a model in the process is lost with it")
	need(cfg.DBSecretID != "", "GATEWAY_DB_SECRET_ID: must name a PostgreSQL on Lambda: the disk of a function is lost with it")
	need(cfg.AdminSecretID != "", "GATEWAY_ADMIN_SECRET_ID: must name a secret on Lambda: a token in the data dir would differ from process to process")
	need(cfg.Outbox.Sync == string(outbox.Database), "GATEWAY_OUTBOX_SYNC: must be database on Lambda: what waits on the disk of a function is lost with it")
	need(cfg.AdminAddr == "", "GATEWAY_ADMIN_ADDR: a function has no listeners; GATEWAY_LAMBDA_ROUTES says which routes it answers")
	return errors.Join(faults...)
}

// follow begins what makes answers fresher and may stand still between two calls: which model
// serves, and the memory of failed sign-ins.
func (f *Function) follow(ctx context.Context) {
	ctx, f.stop = context.WithCancel(context.WithoutCancel(ctx))
	f.background.Go(func() { f.app.signIns.Run(ctx) })
	for _, m := range f.app.models {
		f.background.Go(func() { m.follow(ctx, f.app.log) })
	}
}

// ServeHTTP implements http.Handler.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.handler.ServeHTTP(w, r) }

// Work does what is due beside requests, once: the sums of insights, renewals, the removal of
// old predictions and keys. A renewal that waits, say for a training job, is let go, and the
// next call goes on with it, in this process or another one. Work returns at once while another
// call works.
func (f *Function) Work(ctx context.Context) error {
	if !f.working.TryLock() {
		return nil
	}
	defer f.working.Unlock()
	var faults []error
	for _, m := range f.app.models {
		err := errors.Join(m.keeper.Merge(ctx), m.keeper.Tidy(ctx, f.app.components.now()), m.watch.Look(ctx))
		faults = append(faults, err, m.engine.Once(ctx))
	}
	f.app.components.keys.Sweep(ctx)
	faults = append(faults, f.removeOld(ctx))
	if ctx.Err() != nil {
		return ctx.Err() // the errors are those of calls that were cut off
	}
	return errors.Join(faults...)
}

// removeOld removes predictions that are older than the settings allow.
func (f *Function) removeOld(ctx context.Context) error {
	age := time.Duration(f.app.cfg.Ledger.Retention)
	for age > 0 {
		removed, err := removeOld(ctx, f.app.components.store, age)
		if err != nil || removed <= retainRows/2 { // a few may be younger than their ids
			return err
		}
	}
	return nil
}

// Close stops the gateway. It has nothing to store.
func (f *Function) Close() error {
	f.stop()
	f.background.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	closeTraces(ctx, f.app.components.tracing, f.app.log)
	return f.app.components.cleanups.run(f.app.log)
}

// closeTime is for the last traces: Lambda ends a function 500 ms after SIGTERM.
const closeTime = 200 * time.Millisecond
