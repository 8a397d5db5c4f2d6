package admission

import (
	"errors"
	"sync"
)

// Errors of Budget.Take.
var (
	// ErrShare means that the caller holds as much as one caller may.
	ErrShare = errors.New("the caller holds as much as one caller may")
	// ErrSpent means that all callers together hold as much as they may.
	ErrSpent = errors.New("callers hold as much as they may together")
)

// Budget bounds what callers hold for as long as they like, such as open streams or bytes on
// disk. All of them together hold at most the maximum, and one of them at most half of it.
// It is safe for concurrent use.
type Budget struct {
	max, each int64

	mu    sync.Mutex
	held  map[string]int64 // by caller; no zeros
	total int64
	freed chan struct{} // closed and replaced when something is returned
}

// NewBudget makes a budget of maximum units. With zero or less, Take always fails.
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

// Charge charges n units to a caller without regard to the bounds. It is for a small amount
// that completes something, such as the last line of a response.
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

// Freed returns a channel that is closed when something is returned.
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
