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
	// fullPause is how long it is not looked again after something did not fit.
	fullPause = 10 * time.Second
	// countTime bounds the counting, which reads an index of all keys.
	countTime = 30 * time.Second
)

// Run removes keys, in small batches, until ctx ends: those that have expired,
// and the oldest of callers who fill the room that there is. Several replicas
// may run it at the same time. That it is late does no harm: an expired key
// counts as new, and what does not fit is not kept.
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

// removeExpired removes a batch, and returns when to look for the next.
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

// count asks the database what is kept. Where it does not answer, what is known
// stays.
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

// removeOldest removes the oldest keys of callers who fill their room, until
// they do not or their keys are too young.
func (g *Guard) removeOldest(ctx context.Context) {
	for ctx.Err() == nil {
		owner, found := g.usage.greedy()
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
