package edge

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxLimiters bounds the addresses whose rates are held at one time.
const maxLimiters = 4096

// addressRates bounds how often each address may do something. It is safe for concurrent
// use.
type addressRates struct {
	atOnce    int
	perSecond rate.Limit

	mu       sync.Mutex
	limiters map[string]*rate.Limiter // by address
	shared   *rate.Limiter            // of addresses beyond maxLimiters
}

func newAddressRates(atOnce int, perSecond float64) *addressRates {
	return &addressRates{atOnce: atOnce, perSecond: rate.Limit(perSecond), limiters: make(map[string]*rate.Limiter)}
}

// take charges an event to the allowance of an address. It returns the time until the next
// one is allowed if the allowance is spent.
func (a *addressRates) take(address string, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	reservation := a.limiter(address, now).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// limiter returns the limiter of an address. a.mu is held.
func (a *addressRates) limiter(address string, now time.Time) *rate.Limiter {
	if limiter := a.limiters[address]; limiter != nil {
		return limiter
	}
	if len(a.limiters) >= maxLimiters {
		a.forgetIdle(now)
	}
	limiter := rate.NewLimiter(a.perSecond, a.atOnce)
	if len(a.limiters) < maxLimiters {
		a.limiters[address] = limiter
		return limiter
	}
	if a.shared == nil {
		a.shared = limiter
	}
	return a.shared
}

// forgetIdle removes the limiters of addresses that have their whole allowance.
func (a *addressRates) forgetIdle(now time.Time) {
	for address, limiter := range a.limiters {
		if limiter.TokensAt(now) >= float64(a.atOnce) {
			delete(a.limiters, address)
		}
	}
}
