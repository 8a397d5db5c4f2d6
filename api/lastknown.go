package api

import (
	"context"
	"sync"
	"time"

	"gateway/internal/modelswap"
)

// rememberEvery is how often what the status page keeps is read again while
// only /readyz is asked.
const rememberEvery = 30 * time.Second

// lastKnown is what the status page shows while the database does not answer:
// what it said last.
type lastKnown struct {
	mu       sync.Mutex
	looked   time.Time
	model    known[string]
	finished known[*lastRenewal]
}

// known is a value that was read at a time; zero: never.
type known[T any] struct {
	value T
	at    time.Time
}

// lastRenewal is how the newest renewal that has ended did.
type lastRenewal struct {
	ID         string           `json:"id"`
	Status     modelswap.Status `json:"status"`
	Trigger    string           `json:"trigger"`
	FinishedAt *time.Time       `json:"finished_at"`
	Model      *string          `json:"model"`
	Error      string           `json:"error,omitzero"`
}

// renewals is what the newest renewals say.
type renewals struct {
	unfinished string       // the id of the one that is queued or running; empty for none
	finished   *lastRenewal // nil for none
}

// readModel reads which model serves. With an error it returns the one that is
// known, and since when.
func (a *api) readModel(ctx context.Context) (known[string], error) {
	name, err := a.d.Renewals.Serving(ctx)
	a.known.mu.Lock()
	defer a.known.mu.Unlock()
	if err == nil {
		a.known.model = known[string]{name, time.Now().UTC()}
	}
	return a.known.model, err
}

// readRenewals reads the newest renewals. With an error it returns the one that
// is known to have ended last, and since when.
func (a *api) readRenewals(ctx context.Context) (unfinished string, finished known[*lastRenewal], err error) {
	now, err := a.newestRenewals(ctx)
	a.known.mu.Lock()
	defer a.known.mu.Unlock()
	if err == nil {
		a.known.finished = known[*lastRenewal]{now.finished, time.Now().UTC()}
	}
	return now.unfinished, a.known.finished, err
}

// newestRenewals reads a page of renewals. Only one can be unfinished, and it is
// among the newest.
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

// remember reads what the status page keeps, where that was long ago.
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
	// What cannot be read now stays as it is.
	_, _ = a.readModel(ctx)
	_, _, _ = a.readRenewals(ctx)
}
