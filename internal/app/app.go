package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"

	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/admission"
	"gateway/internal/config"
	"gateway/internal/httpserver"
)

// App is a gateway: Open wires it and binds its listeners, Serve runs it
// until its context ends and then stops it.
type App struct {
	cfg        config.Config
	options    Options
	log        *slog.Logger
	components *components
	models     []*Model             // has one element
	servers    []*httpserver.Server // the public one, and the operators' if it is separate
	separate   bool                 // the operators' routes have a handler of their own
	signIns    *edge.SignIns
	limit      *admission.Limit
	draining   atomic.Bool // set when the service is about to stop
}

// Open opens everything and binds the listeners, so that a port that is
// taken stops the start. An error that a setting causes is a *config.Error.
func Open(ctx context.Context, cfg config.Config, o Options) (_ *App, err error) {
	a := &App{cfg: cfg, options: o, log: o.Log, separate: cfg.AdminAddr != ""}
	var undo cleanups
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.run(a.log))
		}
	}()
	proxies, err := cfg.Proxies()
	if err != nil {
		return nil, &config.Error{Err: err}
	}
	listeners, err := listen(cfg, o, proxies, &undo)
	if err != nil {
		return nil, err
	}
	startup := httpserver.NewStartupServer(api.Starting(), listeners...)
	undo.add("startup server", startup.Close)
	public, admin, err := a.open(ctx, proxies, startup.Open, &undo)
	if err != nil {
		return nil, err
	}
	if err := startup.Close(); err != nil {
		return nil, err
	}
	a.addServer(listeners[0], "public", public, "/predict", "/outcomes", "/endpoints/"+cfg.EndpointName+"/invocations")
	if admin != nil {
		a.addServer(listeners[1], "admin", admin)
	}
	if err := a.announce(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// open opens all but the listeners, and makes their handlers. waiting is called when it
// has to wait for a secret or the database.
func (a *App) open(ctx context.Context, proxies []netip.Prefix, waiting func(), undo *cleanups) (public, admin http.Handler, err error) {
	schema, err := a.cfg.LoadSchema()
	if err != nil {
		return nil, nil, &config.Error{Err: err}
	}
	a.components = newComponents(a.cfg, a.options, waiting)
	undo.add("components", func() error { return a.components.cleanups.run(a.log) })
	if err := a.components.open(ctx); err != nil {
		return nil, nil, err
	}
	if a.models, err = openModels(ctx, a.components, schema); err != nil {
		return nil, nil, err
	}
	return a.handlers(ctx, proxies)
}

// listen binds the public listener and, if it is separate, the operators'.
func listen(cfg config.Config, o Options, proxies []netip.Prefix, undo *cleanups) ([]*httpserver.Listener, error) {
	var listeners []*httpserver.Listener
	for _, l := range []struct{ setting, addr string }{{"ADDR", cfg.Addr}, {"ADMIN_ADDR", cfg.AdminAddr}} {
		if l.addr == "" {
			continue
		}
		listener, err := httpserver.Listen(l.addr, httpserver.MaxConnections(maxConnections(cfg, o.MemoryLimit)), proxies)
		if err != nil {
			return nil, &config.Error{Err: fmt.Errorf("GATEWAY_%s: %w", l.setting, err)}
		}
		undo.add("listener", listener.Close)
		listeners = append(listeners, listener)
	}
	return listeners, nil
}

// announce says where the app serves: in the log, and in the data dir for
// commands.
func (a *App) announce(ctx context.Context) error {
	if err := a.components.dir.Announce(a.URL()); err != nil {
		return err
	}
	for _, warning := range a.warnings(ctx) {
		a.log.Warn(warning)
	}
	public := a.servers[0].URL()
	a.log.Info(fmt.Sprintf("serving on %s, documentation on %s/docs", public, public))
	return nil
}

// URL returns the URL of the listener for operators.
func (a *App) URL() string { return a.servers[len(a.servers)-1].URL() }
