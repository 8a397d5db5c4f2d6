package api

import "time"

// pace bounds how slowly a caller may send. The time for which the gateway waits for the
// caller is subtracted from a credit, and each byte that arrives adds to it. So a stream
// may pause for as long as it has credit, and must bring rate bytes a second on average.
// The time in which the gateway works costs nothing.
type pace struct {
	rate      int64 // bytes a second
	maxCredit time.Duration
	credit    time.Duration
}

func newPace(rate int64, maxCredit time.Duration) pace {
	return pace{rate: rate, maxCredit: maxCredit, credit: maxCredit}
}

// spend charges a wait at the end of which n bytes arrived.
func (p *pace) spend(waited time.Duration, n int) {
	earned := time.Duration(n) * time.Second / time.Duration(p.rate)
	p.credit = min(p.maxCredit, p.credit-waited+earned)
}
