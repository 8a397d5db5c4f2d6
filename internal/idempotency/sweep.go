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
)

// Run removes keys that have expired, in small batches, until ctx ends.
// Several replicas may run it at the same time. That it is late does no harm:
// an expired key counts as new.
func (g *Guard) Run(ctx context.Context) {
	for pause := rand.N(sweepEvery); ; { // replicas that start together do not sweep together
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		removed := 0
		err := g.ask(ctx, leaseMargin, "remove expired keys", func(ctx context.Context) (err error) {
			removed, err = g.keys.RemoveExpiredKeys(ctx, sweepBatch)
			return err
		})
		g.metrics.expired.Add(float64(removed))
		if pause = sweepEvery; err == nil && removed == sweepBatch {
			pause = sweepPause
		}
	}
}
