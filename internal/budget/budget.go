// Package budget bounds how many additional calls a program makes, such as retries,
// to a fraction of its ordinary calls.
package budget

import "sync/atomic"

// Budget is a token bucket that calls refill, not time. A call earns one token, and
// an additional call costs price tokens. The bucket holds the price of at most
// reserve additional calls:
//
//	Earn:  tokens ← min(tokens + 1, price·reserve)
//	Spend: tokens ← tokens − price, if tokens ≥ price
//
// So n calls allow at most n/price additional ones, and reserve more where the bucket
// was full before. The fraction holds at any rate of calls: a budget that refills by
// time would allow a service that answers nothing as many additional calls as ever.
//
// It is safe for concurrent use.
type Budget struct {
	price, limit int64 // tokens
	tokens       atomic.Int64
}

// New returns an empty budget. The price is in tokens for each additional call, the
// reserve in additional calls; both are at least 1.
func New(price, reserve int) *Budget {
	return &Budget{price: int64(price), limit: int64(price) * int64(reserve)}
}

// Full returns a budget like New that holds its whole reserve.
func Full(price, reserve int) *Budget {
	b := New(price, reserve)
	b.tokens.Store(b.limit)
	return b
}

// Earn adds the token of one call.
func (b *Budget) Earn() {
	for {
		has := b.tokens.Load()
		if has >= b.limit || b.tokens.CompareAndSwap(has, has+1) {
			return
		}
	}
}

// Spend takes the price of one additional call, and reports whether the budget had it.
func (b *Budget) Spend() bool {
	for {
		has := b.tokens.Load()
		if has < b.price {
			return false
		}
		if b.tokens.CompareAndSwap(has, has-b.price) {
			return true
		}
	}
}
