package api

import (
	"context"
	"maps"
	"net/http"
	"time"
)

// status is the whole service on one page. It answers even where parts of the
// service do not: such a part is null, and "unknown" lists it. Entries of
// Deps.Status come last, so they may say better what is said here.
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
		"schedule":       nil,
		"limit":          a.limit.Status(),
	}
	unknown := []string{}
	if ready, err := a.readiness.get(ctx); err != nil {
		unknown = append(unknown, "dependencies")
	} else {
		page["dependencies"] = ready.Dependencies
	}
	if name, err := a.d.Renewals.Serving(ctx); err != nil {
		unknown = append(unknown, "model")
	} else if name != "" {
		page["model"] = name
	}
	if id, err := a.unfinished(ctx); err != nil {
		unknown = append(unknown, "renewal")
	} else if id != "" {
		page["renewal"] = id
	}
	if schedule, err := a.d.Renewals.Schedule(ctx); err != nil {
		unknown = append(unknown, "schedule")
	} else {
		page["schedule"] = schedule
	}
	if len(unknown) > 0 {
		page["unknown"] = unknown
	}
	if a.d.Status != nil {
		maps.Copy(page, a.d.Status(ctx))
	}
	return writeJSON(w, http.StatusOK, page)
}

// unfinished names the renewal that is queued or running. Only one can be, and
// it is among the newest.
func (a *api) unfinished(ctx context.Context) (string, error) {
	list, err := a.d.Renewals.Renewals(ctx, pageDefault, "")
	if err != nil {
		return "", err
	}
	for _, r := range list {
		if !r.Status.Final() {
			return r.ID, nil
		}
	}
	return "", nil
}
