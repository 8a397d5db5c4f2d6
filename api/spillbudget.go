package api

import (
	"sync"

	"gateway/internal/admission"
)

// spillBudget bounds the files of all spill buffers: by a number of bytes in all, by half
// of it for each caller, and by the space that the disk has to spare.
type spillBudget struct {
	budget *admission.Budget
	spare  func() int64 // bytes of the disk that may be used; nil: any number

	mu        sync.Mutex
	unwritten int64 // bytes that were taken and are not in a file yet
}

func newSpillBudget(maximum int64, spare func() int64) *spillBudget {
	return &spillBudget{budget: admission.NewBudget(maximum), spare: spare}
}

// take reports whether a caller's buffer may write n bytes to its file. The buffer calls
// stored when it has written them, or has failed to. With anyway the bytes are charged
// beyond all bounds: they are the last few bytes of a response.
func (b *spillBudget) take(caller string, n int64, anyway bool) bool {
	if anyway {
		b.budget.Charge(caller, n)
	} else if b.budget.Take(caller, n) != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !anyway && b.spare != nil && b.spare()-b.unwritten < n {
		b.budget.Give(caller, n)
		return false
	}
	b.unwritten += n
	return true
}

// stored notes that n bytes that were taken are in a file now, and count as space that
// the disk no longer has.
func (b *spillBudget) stored(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unwritten -= n
}

// give returns n bytes of a caller's buffer.
func (b *spillBudget) give(caller string, n int64) { b.budget.Give(caller, n) }
