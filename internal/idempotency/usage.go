package idempotency

import (
	"maps"
	"sync"
	"time"
)

const (
	// minAge is how old a key is at least when it is removed before its time. A
	// caller repeats its request within minutes.
	minAge = 10 * time.Minute
	// spareMin is what the disk must have to spare for a key to be kept.
	spareMin = 1 << 20
)

// usage is what is kept, for each owner. It is that of the database when it was
// asked last, and what this process has added since: other processes on the same
// database are seen within a minute. It is safe for concurrent use.
type usage struct {
	max  int64
	full chan struct{} // has a token when something did not fit

	mu    sync.Mutex
	held  map[string]int64
	total int64
	// since is what was charged since the counting under way began: the count
	// may have it or not. What it has twice is corrected by the next one.
	since map[string]int64
}

func newUsage(maximum int64) *usage {
	return &usage{max: maximum, full: make(chan struct{}, 1), held: make(map[string]int64)}
}

// take charges n bytes to an owner, and reports whether they fit: within all
// that is kept, and within half of it for one owner. anyway charges in any case.
func (u *usage) take(owner string, n int64, anyway bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	fits := u.held[owner]+n <= u.max/2 && u.total+n <= u.max
	if !fits {
		select {
		case u.full <- struct{}{}:
		default:
		}
	}
	if fits || anyway {
		u.held[owner] += n
		u.total += n
		if u.since != nil {
			u.since[owner] += n
		}
	}
	return fits || anyway
}

// give takes n bytes off what an owner is charged.
func (u *usage) give(owner string, n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n = min(n, u.held[owner])
	u.total -= n
	if u.held[owner] -= n; u.held[owner] == 0 {
		delete(u.held, owner)
	}
}

// counting begins a count, which set ends.
func (u *usage) counting() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.since = make(map[string]int64)
}

// set replaces what is known by what the database says, and what was charged
// while it was asked.
func (u *usage) set(held map[string]int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.held, u.total = maps.Clone(held), 0
	for owner, n := range u.since {
		u.held[owner] += n
	}
	for _, n := range u.held {
		u.total += n
	}
	u.since = nil
}

// bytes returns what is kept in all.
func (u *usage) bytes() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.total
}

// greedy names the owner whose oldest keys are to go: the one with most, where
// it or all together have nearly reached their bound.
func (u *usage) greedy() (owner string, found bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	most := int64(0)
	for name, n := range u.held {
		if n > most || n == most && name < owner {
			owner, most = name, n
		}
	}
	return owner, most > nearly(u.max/2) || u.total > nearly(u.max)
}

// nearly is where removing begins, so that there is room before it is needed.
func nearly(bound int64) int64 { return bound / 8 * 7 }
