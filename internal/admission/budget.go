package admission

import (
	"errors"
	"sync"
)

// Errors of Budget.Take.
var (
	// ErrShare: the caller holds as much as one caller may.
	ErrShare = errors.New("the caller holds as much as one caller may")
	// ErrSpent: all callers together hold as much as they may.
	ErrSpent = errors.New("callers hold as much as they may together")
)

// Budget bounds something that callers hold at their own pace, such as open
// streams or bytes on disk: what all of them hold together, and what one of them
// holds, which is at most half, so that one caller cannot take all. It is safe
// for concurrent use.
type Budget struct {
	max, each int64

	mu    sync.Mutex
	held  map[string]int64 // by caller; no zeros
	total int64
	freed chan struct{} // closed, and made anew, when something is given back
}

// NewBudget makes a budget of max units. Zero or less means none at all.
func NewBudget(maximum int64) *Budget {
	return &Budget{max: maximum, each: (maximum + 1) / 2, held: make(map[string]int64), freed: make(chan struct{})}
}

// Take charges n units to a caller, or returns ErrShare or ErrSpent and charges
// nothing.
func (b *Budget) Take(caller string, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.held[caller]+n > b.each:
		return ErrShare
	case b.total+n > b.max:
		return ErrSpent
	case n > 0:
		b.held[caller] += n
		b.total += n
	}
	return nil
}

// Charge charges n units to a caller beyond all bounds. It is for the little that
// ends something orderly.
func (b *Budget) Charge(caller string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held[caller] += n
	b.total += n
}

// Give returns n units that the caller had taken.
func (b *Budget) Give(caller string, n int64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total -= n
	if b.held[caller] -= n; b.held[caller] <= 0 {
		delete(b.held, caller)
	}
	close(b.freed)
	b.freed = make(chan struct{})
}

// Freed returns a channel that is closed when something is given back.
func (b *Budget) Freed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.freed
}

// Held returns what all callers hold.
func (b *Budget) Held() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

// Max returns the bound for all callers.
func (b *Budget) Max() int64 { return b.max }
