package app

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"

	"gateway"
	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/admission"
	"gateway/internal/config"
	"gateway/internal/schema"
)

// handlers makes the handlers of the public listener and, if it is separate, of
// the operators'. The API has one model, the first.
func (a *App) handlers(ctx context.Context, proxies []netip.Prefix) (public, admin http.Handler, err error) {
	tokens, made, err := a.components.secretOpener.adminTokens(ctx, a.cfg, a.components.dir)
	if err != nil {
		return nil, nil, err
	}
	keys, err := a.components.secretOpener.apiKeys(ctx, a.cfg)
	if err != nil {
		return nil, nil, err
	}
	if made != "" {
		a.log.Info(fmt.Sprintf("admin token made in %s", made))
	}
	a.signIns = edge.NewSignIns(a.components.store, proxies, a.log, a.components.registry)
	a.signIns.UseClock(a.components.now)
	a.limit = a.newLimit(a.models[0])
	measureLog(a.components.registry, a.options.LogDropped)
	public, admin = api.New(a.deps(a.models[0], a.newEdge(tokens, keys)), a.apiOptions())
	return public, admin, nil
}

// newLimit makes the limit on requests. While it sheds load, calls of the
// endpoint are not repeated.
func (a *App) newLimit(m *Model) *admission.Limit {
	limit := admission.NewLimit(admission.Options{
		Floor:        a.cfg.Limit.Min,
		Ceiling:      a.cfg.Limit.Max,
		MaxQueueWait: a.cfg.PredictTimeout / 4,
		Memory:       requestMemory(a.options.MemoryLimit),
		Streams:      a.cfg.MaxStreams,
		Queue:        m.queue(),
	}, a.components.registry)
	if m.noRetriesWhile != nil {
		m.noRetriesWhile(func() bool { return limit.Shedding() || !m.remote.Breaker().Closed() })
	}
	return limit
}

// newEdge makes what surrounds the routes of all listeners. keys is nil if apps need no
// API key.
func (a *App) newEdge(tokens, keys *credentials) *edge.Edge {
	deps := edge.Deps{
		Tokens:      tokens.valid,
		RenewTokens: tokens.renew,
		SignIns:     a.signIns,
		Limit:       a.limit,
		Now:         a.components.now,
		Registry:    a.components.registry,
		Log:         a.log,
	}
	if keys != nil {
		deps.APIKeys, deps.RenewAPIKeys = keys.valid, keys.renew
	}
	if a.components.tracing != nil {
		deps.Tracer = a.components.tracing
	}
	return edge.New(deps, edge.Options{KeyRate: a.cfg.APIKeyRate, CORSOrigins: a.cfg.CORSOrigins})
}

// deps are what the handlers of the API call.
func (a *App) deps(m *Model, front *edge.Edge) api.Deps {
	c := a.components
	return api.Deps{
		Edge:         front,
		Predict:      m.service,
		Renewals:     m.engine,
		Insights:     m.reports,
		Importer:     m.importer,
		Ledger:       m.line,
		Exports:      exports{m.line, a.cfg.CustomersTable},
		KeysKept:     a.cfg.IdempotencyTTL,
		Acts:         c.store,
		Keys:         c.keys,
		Dependencies: a.dependencies(m),
		Status:       a.status,
		Settings:     settingsInForce,
		Secrets:      a.secretStates,
		OpenAPI:      gateway.OpenAPI,
		Registry:     c.registry,
		Log:          a.log,
		SpoolDir:     c.dir.TempDir(),
		SpoolSpare:   c.disk.spare,
	}
}

// dependencies are what /readyz looks at.
func (a *App) dependencies(m *Model) []api.Dependency {
	all := []api.Dependency{
		{Name: "gateway", Required: true, Check: a.checkDraining},
		{Name: "model", Required: true, Check: m.scorer.Ready},
		{Name: "database", Check: a.components.store.Check},
		{Name: "ledger", Check: a.components.outbox.Check},
		{Name: "secrets", Check: a.components.secretOpener.Check},
	}
	if m.remote != nil {
		all = append(all, api.Dependency{Name: "endpoint", Check: m.remote.Breaker().Check})
	}
	return all
}

func (a *App) apiOptions() api.Options {
	maxRow := 0 // the default
	if a.options.ForCommand {
		maxRow = schema.MaxRow
	}
	return api.Options{
		MaxRow:           maxRow,
		SeparateAdmin:    a.separate,
		AdminOpenMetrics: !a.options.function && metricsOpen(a.cfg),
		Version:          a.options.Version,
		QuietReadiness:   a.options.ForCommand,
		EndpointName:     a.cfg.EndpointName,
		MaxBody:          int64(a.cfg.MaxBody),
		MaxSpool:         int64(a.cfg.SpoolMaxSize),
		StreamRate:       int64(a.cfg.StreamMinRate),
		PredictTimeout:   a.cfg.PredictTimeout,
	}
}

// metricsOpen reports whether /metrics may be read without the token: on a
// listener that only this machine reaches, or on one for operators alone.
func metricsOpen(cfg config.Config) bool {
	return cfg.AdminAddr != "" || onlyThisMachine(cfg.Addr)
}
