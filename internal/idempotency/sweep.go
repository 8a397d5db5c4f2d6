package idempotency

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	sweepEvery = time.Minute
	// sweepBatch keys are removed before a pause of sweepPause.
	sweepBatch = 500
	sweepPause = 100 * time.Millisecond
	// fullPause is the minimum time between two removals because of a lack of room.
	fullPause = 10 * time.Second
	// countTime bounds the time to count keys, which reads an index of all keys.
	countTime = 30 * time.Second
)

// Run removes keys in small batches until ctx ends: expired keys, and the oldest keys of
// callers who fill their room. Several replicas may run it at the same time. A delay does no
// harm: an expired key counts as new, and a key without room is not stored.
func (g *Guard) Run(ctx context.Context) {
	g.count(ctx)
	full := g.usage.full
	for pause := rand.N(sweepEvery); ; { // replicas that start together do not sweep together
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
			pause, full = g.removeExpired(ctx), g.usage.full
		case <-full:
			pause, full = fullPause, nil
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
		if pause != sweepPause {
			g.count(ctx)
			g.removeOldest(ctx)
		}
	}
}

// Sweep removes all expired keys, and the oldest ones of callers who fill their room. It
// is for a program that does not call Run.
func (g *Guard) Sweep(ctx context.Context) {
	for g.removeExpired(ctx) == sweepPause && ctx.Err() == nil { //nolint:revive // the condition does it
	}
	g.count(ctx)
	g.removeOldest(ctx)
}

// removeExpired removes a batch, and returns the time until the next one.
func (g *Guard) removeExpired(ctx context.Context) time.Duration {
	removed := 0
	err := g.ask(ctx, leaseMargin, "remove expired keys", func(ctx context.Context) (err error) {
		removed, err = g.keys.RemoveExpiredKeys(ctx, sweepBatch)
		return err
	})
	g.metrics.expired.Add(float64(removed))
	if err == nil && removed == sweepBatch {
		return sweepPause
	}
	return sweepEvery
}

// count reads the usage from the database. After an error the old usage remains.
func (g *Guard) count(ctx context.Context) {
	g.usage.counting()
	_ = g.ask(ctx, countTime, "count the keys", func(ctx context.Context) error {
		held, err := g.keys.KeyUsage(ctx)
		if err == nil {
			g.usage.set(held)
		}
		return err
	})
}

// removeOldest removes the oldest keys of callers who fill their room, until there is room or
// the remaining keys are younger than minAge.
func (g *Guard) removeOldest(ctx context.Context) {
	for ctx.Err() == nil {
		owner, found := g.usage.largestOwner()
		if !found {
			return
		}
		removed, bytes := 0, int64(0)
		err := g.ask(ctx, leaseMargin, "remove the oldest keys", func(ctx context.Context) (err error) {
			removed, bytes, err = g.keys.RemoveOldestKeys(ctx, owner, time.Now().Add(g.opts.TTL-minAge), sweepBatch)
			return err
		})
		g.usage.give(owner, bytes)
		g.metrics.evicted.Add(float64(removed))
		if err != nil || removed == 0 {
			return
		}
		timer := time.NewTimer(sweepPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}
