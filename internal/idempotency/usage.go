package idempotency

import (
	"maps"
	"sync"
	"time"
)

const (
	// minAge is the minimum age of a key that is removed before it expires. Callers repeat
	// their requests within minutes.
	minAge = 10 * time.Minute
	// minSpare is the space that the disk must have to spare to store an optional key.
	minSpare = 1 << 20
)

// usage is the size of the stored keys of each owner: as read from the database, plus what
// this process has stored since. Keys of other processes are counted within a minute. It is
// safe for concurrent use.
type usage struct {
	max  int64
	full chan struct{} // has a token if something did not fit

	mu    sync.Mutex
	held  map[string]int64
	total int64
	// since is what was charged since the current count began. The count may contain it or
	// not. What is counted twice is corrected by the next count.
	since map[string]int64
}

func newUsage(maximum int64) *usage {
	return &usage{max: maximum, full: make(chan struct{}, 1), held: make(map[string]int64)}
}

// take charges n bytes to an owner, and reports whether they fit: into the maximum together
// with all others, and into half of it for the owner. With anyway it charges them in any
// case.
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

// give subtracts n bytes from what an owner is charged.
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

// set replaces the usage by that of the database and what was charged during the count.
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

// bytes returns the usage of all owners.
func (u *usage) bytes() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.total
}

// largestOwner returns the owner with the largest usage, if that or the usage of all owners
// has nearly reached its bound. The oldest keys of that owner are removed next.
func (u *usage) largestOwner() (owner string, found bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	largest := int64(0)
	for name, n := range u.held {
		if n > largest || n == largest && name < owner {
			owner, largest = name, n
		}
	}
	return owner, largest > nearly(u.max/2) || u.total > nearly(u.max)
}

// nearly returns the usage at which keys begin to be removed, before a bound is reached.
func nearly(bound int64) int64 { return bound / 8 * 7 }
