package overload

import (
	"time"

	"gateway/internal/predict"
)

// QueueOf tells of the queue of a Batch that puts at most so many rows into a
// call, before a Breaker.
func QueueOf(b *predict.Batch, maxRows int, breaker *Breaker) func() Queue {
	return func() Queue {
		s := b.Status()
		calls := (s.Queued + maxRows - 1) / maxRows
		return Queue{Rows: s.Queued, Call: s.Latency, Still: s.Still, Probes: s.InFlight >= s.Slots && !breaker.Closed(),
			Wait: time.Duration(calls) * s.Latency / time.Duration(max(1, s.Slots))}
	}
}
