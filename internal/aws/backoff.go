package aws

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"gateway/internal/modelswap"
)

// backOff waits between calls of which DynamoDB processed only a part of the items. Such
// a call is no error, so the SDK does not retry it.
type backOff struct {
	wait  time.Duration
	empty int // consecutive calls that processed no item
}

// Bounds of backOff.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = 5 * time.Second
	maxEmpty   = 12
)

// after waits after a call that processed done items.
func (b *backOff) after(ctx context.Context, done int) error {
	if done > 0 {
		b.empty = 0
	} else if b.empty++; b.empty > maxEmpty {
		return &modelswap.Fault{Class: modelswap.Throttled, Err: fmt.Errorf("the capacity of the table is too low: %d consecutive calls processed no item", b.empty)}
	}
	b.wait = min(max(firstPause, 2*b.wait), maxPause)
	if done > 0 {
		b.wait = firstPause
	}
	select {
	case <-time.After(b.wait/2 + rand.N(b.wait/2)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
