package api

import (
	"context"
	"maps"
	"net/http"
	"time"

	"gateway/api/edge"
)

// status sends an overview of the service. If a part of the service does not answer, the
// response has what it answered last, and "stale" has when that was. A part that has never
// answered is null and is listed in "unknown". Entries of Deps.Status are added last, and
// replace entries of the same name.
func (a *api) status(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	schema := a.d.Predict.Schema()
	page := map[string]any{
		"version":        a.o.Version,
		"started_at":     a.started.Format(time.RFC3339),
		"uptime_seconds": int64(time.Since(a.started).Seconds()),
		"endpoint":       a.o.EndpointName,
		"schema":         map[string]string{"name": schema.Name, "fingerprint": schema.Fingerprint()},
		"model":          nil,
		"renewal":        nil,
		"last_renewal":   nil,
		"schedule":       nil,
		"limit":          a.edge.Limit().Status(),
	}
	unknown, stale := []string{}, map[string]time.Time{}
	failed := func(part string, since time.Time) {
		if since.IsZero() {
			unknown = append(unknown, part)
			return
		}
		stale[part] = since.Truncate(time.Millisecond)
	}
	if dependencies, err := a.readiness.detailed(ctx); err != nil {
		failed("dependencies", time.Time{})
	} else {
		page["dependencies"] = dependencies
	}
	model, err := a.readModel(ctx)
	if err != nil {
		failed("model", model.at)
	}
	if model.value != "" {
		page["model"] = model.value
	}
	unfinished, last, err := a.readRenewals(ctx)
	if err != nil {
		failed("renewal", time.Time{})
		failed("last_renewal", last.at)
	}
	if unfinished != "" {
		page["renewal"] = unfinished
	}
	if last.value != nil {
		page["last_renewal"] = last.value
	}
	if schedule, err := a.d.Renewals.Schedule(ctx); err != nil {
		unknown = append(unknown, "schedule")
	} else {
		page["schedule"] = schedule
	}
	if len(unknown) > 0 {
		page["unknown"] = unknown
	}
	if len(stale) > 0 {
		page["stale"] = stale
	}
	if a.d.Status != nil {
		maps.Copy(page, a.d.Status(ctx))
	}
	return edge.WriteJSON(w, http.StatusOK, page)
}
