package overload

import "gateway/internal/scoring"

// QueueOf tells of the queue of a Batch before a Breaker.
func QueueOf(b *scoring.Batch, breaker *Breaker) func() Queue {
	return func() Queue {
		s := b.Status()
		return Queue{Rows: s.Queued, Wait: s.Wait, All: s.All, Call: s.Latency, Still: s.Still,
			Probes: s.InFlight >= s.Slots && !breaker.Closed()}
	}
}
