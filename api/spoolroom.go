package api

import (
	"sync"

	"gateway/internal/admission"
)

// spoolRoom is the room on disk that all spools share: a budget in all and for
// each caller, and within that no more than the disk has to spare.
type spoolRoom struct {
	budget *admission.Budget
	spare  func() int64 // bytes of the disk that may be used; nil: any number

	mu        sync.Mutex
	unwritten int64 // taken, and not in a file yet
}

func newSpoolRoom(maximum int64, spare func() int64) *spoolRoom {
	return &spoolRoom{budget: admission.NewBudget(maximum), spare: spare}
}

// take reports whether a caller's spool may write n bytes to its file. stored
// must be called when they are written, or not. anyway is for the last few bytes
// of an answer: they are charged in any case.
func (r *spoolRoom) take(caller string, n int64, anyway bool) bool {
	if anyway {
		r.budget.Charge(caller, n)
	} else if r.budget.Take(caller, n) != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !anyway && r.spare != nil && r.spare()-r.unwritten < n {
		r.budget.Give(caller, n)
		return false
	}
	r.unwritten += n
	return true
}

func (r *spoolRoom) stored(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unwritten -= n
}

// give returns what a caller's spool had taken.
func (r *spoolRoom) give(caller string, n int64) { r.budget.Give(caller, n) }
