package scoring

import (
	"testing"
	"time"
)

// The queue is as long as the mean of calls says.
func TestAStallHardlyMovesTheMeanOfCalls(t *testing.T) {
	for _, inFlight := range []int{1, 4, 64} {
		s := newConcurrencyLimiter(64, 2*time.Millisecond)
		now := time.Unix(0, 0)
		calls := func(n int, took time.Duration) {
			for range n { // all at once
				s.done(&ticket{begun: now, took: took, outcome: scored, requests: 1, rows: 1, inFlight: n, epoch: -1})
			}
			now = now.Add(took)
		}
		const usual = time.Millisecond
		for range 20 {
			calls(inFlight, usual)
		}
		for range 10 {
			calls(inFlight, 300*time.Millisecond)
			if s.mean > 2*usual {
				t.Errorf("%d calls that a stall held up have the mean at %s", inFlight, s.mean)
			}
			calls(inFlight, usual)
		}
		// An endpoint that has become slow is another matter.
		for range slowRounds {
			calls(inFlight, 300*time.Millisecond)
		}
		if s.mean != 300*time.Millisecond {
			t.Errorf("after %d rounds of slow calls, %d at once, the mean is %s", slowRounds, inFlight, s.mean)
		}
	}
}
