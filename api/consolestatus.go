package api

import (
	"context"
	"maps"
	"slices"

	"gateway/api/console"
)

// console makes the operators' console.
func (a *api) console() *console.Console {
	d := console.Deps{Edge: a.edge, Predict: a.d.Predict, Renewals: a.d.Renewals, Insights: a.d.Insights, Ledger: a.d.Ledger, Acts: a.d.Acts,
		Status: a.consoleStatus, Settings: a.d.Settings, Secrets: a.d.Secrets, Log: a.d.Log}
	if d.Settings == nil {
		d.Settings = func() []console.SettingGroup { return nil }
	}
	if d.Secrets == nil {
		d.Secrets = func() []console.Secret { return nil }
	}
	return console.New(d)
}

// consoleStatus returns what the console shows of the process. It is what status sends,
// without what the console reads by itself.
func (a *api) consoleStatus(ctx context.Context) console.Status {
	s := console.Status{Version: a.o.Version, StartedAt: a.started, Limit: a.edge.Limit().Status()}
	if a.d.Status != nil {
		s.Details = a.d.Status(ctx)
	}
	conditions, err := a.readiness.detailed(ctx)
	if err != nil {
		return s
	}
	for _, name := range slices.Sorted(maps.Keys(conditions)) {
		c := conditions[name]
		s.Dependencies = append(s.Dependencies, console.Dependency{Name: name, State: c.State, Reason: c.Reason, Detail: c.Detail, Since: c.Since})
	}
	return s
}
