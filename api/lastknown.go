package api

import (
	"context"
	"sync"
	"time"

	"gateway/internal/modelswap"
)

// rememberEvery is how often /readyz reads again what the status page shows when the
// database does not answer.
const rememberEvery = 30 * time.Second

// lastKnown holds what the database answered last. The status page shows it while the
// database does not answer.
type lastKnown struct {
	mu       sync.Mutex
	looked   time.Time
	model    known[string]
	finished known[*lastRenewal]
}

// known is a value and when it was read; the zero time: never.
type known[T any] struct {
	value T
	at    time.Time
}

// lastRenewal is the result of the newest renewal that has ended.
type lastRenewal struct {
	ID         string           `json:"id"`
	Status     modelswap.Status `json:"status"`
	Trigger    string           `json:"trigger"`
	FinishedAt *time.Time       `json:"finished_at"`
	Model      *string          `json:"model"`
	Error      string           `json:"error,omitzero"`
}

// renewals summarises the newest renewals.
type renewals struct {
	unfinished string       // the id of the one that is queued or running; empty for none
	finished   *lastRenewal // nil for none
}

// readModel reads which model serves. With an error it returns the model that was read
// last, and when.
func (a *api) readModel(ctx context.Context) (known[string], error) {
	name, err := a.d.Renewals.Serving(ctx)
	a.known.mu.Lock()
	defer a.known.mu.Unlock()
	if err == nil {
		a.known.model = known[string]{name, time.Now().UTC()}
	}
	return a.known.model, err
}

// readRenewals reads the newest renewals. With an error it returns the last renewal that
// was read as ended, and when.
func (a *api) readRenewals(ctx context.Context) (unfinished string, finished known[*lastRenewal], err error) {
	now, err := a.newestRenewals(ctx)
	a.known.mu.Lock()
	defer a.known.mu.Unlock()
	if err == nil {
		a.known.finished = known[*lastRenewal]{now.finished, time.Now().UTC()}
	}
	return now.unfinished, a.known.finished, err
}

// newestRenewals reads a page of renewals. At most one is unfinished, and it is among the
// newest.
func (a *api) newestRenewals(ctx context.Context) (renewals, error) {
	var now renewals
	list, err := a.d.Renewals.Renewals(ctx, pageDefault, "")
	if err != nil {
		return now, err
	}
	for _, r := range list {
		switch {
		case !r.Status.Final():
			now.unfinished = r.ID
		case now.finished == nil:
			now.finished = &lastRenewal{r.ID, r.Status, r.Trigger, r.FinishedAt, r.Model, r.Error}
		}
	}
	return now, nil
}

// remember reads what lastKnown holds, unless that was done within rememberEvery.
func (a *api) remember(ctx context.Context) {
	a.known.mu.Lock()
	due := time.Since(a.known.looked) >= rememberEvery
	if due {
		a.known.looked = time.Now()
	}
	a.known.mu.Unlock()
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	// After an error the old value remains.
	_, _ = a.readModel(ctx)
	_, _, _ = a.readRenewals(ctx)
}
