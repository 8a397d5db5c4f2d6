package api

import "time"

// pace is how fast a caller must send. Time in which the gateway waits for the
// caller is taken off a credit, and bytes that arrive earn it back. So a stream
// may pause for as long as its credit lasts, and in the long run must bring rate
// bytes a second. Time in which the gateway is at work costs nothing.
type pace struct {
	rate   int64 // bytes a second
	most   time.Duration
	credit time.Duration
}

func newPace(rate int64, most time.Duration) pace { return pace{rate: rate, most: most, credit: most} }

// spend notes that n bytes have come after the gateway had waited for so long.
func (p *pace) spend(waited time.Duration, n int) {
	earned := time.Duration(n) * time.Second / time.Duration(p.rate)
	p.credit = min(p.most, p.credit-waited+earned)
}
