package app

import (
	"context"
	"log/slog"
	"time"

	"gateway/internal/outage"
	"gateway/internal/store"
)

const (
	// retainEvery is how often predictions that are too old are looked for.
	retainEvery = 10 * time.Minute
	// retainRows is how many are removed before a pause of retainPause. The store
	// removes them in several transactions.
	retainRows, retainPause = 500, 200 * time.Millisecond
)

// retain removes predictions from the ledger once they are older than age, until
// ctx ends. Several gateways may do so on one database: each finds what the
// others have left.
func retain(ctx context.Context, ledger *store.Store, age time.Duration, log *slog.Logger) {
	if age == 0 {
		return
	}
	var removals outage.Outage
	wait := time.NewTimer(0)
	defer wait.Stop()
	for total := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		removed, err := removeOld(ctx, ledger, age)
		total += removed
		if ctx.Err() != nil {
			return
		}
		removals.Record(log, err, "cannot remove old predictions from the ledger; trying again every "+retainEvery.String(),
			"old predictions can be removed from the ledger again")
		switch {
		case err == nil && removed > retainRows/2: // a few may be younger than their ids
			wait.Reset(retainPause)
			continue
		case err == nil && total > 0:
			log.Info("removed old predictions from the ledger", "rows", total, "older_than", age)
		}
		total = 0
		wait.Reset(retainEvery)
	}
}

// removeOld removes some predictions that are older than age. A clock that may be
// wrong removes none.
func removeOld(ctx context.Context, ledger *store.Store, age time.Duration) (removed int64, err error) {
	now := time.Now()
	if err := ledger.CheckClock(ctx, now); err != nil {
		return 0, err
	}
	return ledger.RemovePredictions(ctx, now.Add(-age), retainRows)
}
