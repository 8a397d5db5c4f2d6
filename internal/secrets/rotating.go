package secrets

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"gateway/internal/outage"
)

// Rotating is a secret whose value changes. Its methods return only values that were parsed
// without an error. It is safe for concurrent use.
type Rotating[T any] struct {
	store *Store
	d     Declared
	parse func(Secret) (T, error)
	log   *slog.Logger

	mu       sync.Mutex
	current  *Value[T]
	pending  *Value[T] // of the last read that After or Refresh requested
	previous *Value[T]
	changed  time.Time // when current became current
	asked    time.Time // when pending and previous were read for After
	accepted string    // id of the version that worked last
	readAt   time.Time // when the source last answered with a valid value
	reads    outage.Outage

	flight      *flight       // the read under way; nil: none
	notYet      time.Time     // After and Refresh start no read before
	minInterval time.Duration // between reads that After and Refresh start
}

// Value is a version of a secret with its parsed value.
type Value[T any] struct {
	Version string
	Data    T
	raw     Secret
}

// Current returns the current version that was last read. It does not wait.
func (r *Rotating[T]) Current() Value[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *r.current
}

// Valid returns the current version and, until Declared.Grace after a rotation, the previous
// one. It does not wait.
func (r *Rotating[T]) Valid() []Value[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	valid := []Value[T]{*r.current}
	if r.previous != nil && r.inGrace() {
		valid = append(valid, *r.previous)
	}
	return valid
}

// inGrace is called with mu held.
func (r *Rotating[T]) inGrace() bool { return time.Since(r.changed) < r.d.Grace }

// Accepted records that a version works. After returns that version first while it is the
// pending one.
func (r *Rotating[T]) Accepted(version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accepted = version
}

// freshness is how long After returns a pending or previous version without reading it
// again.
const freshness = 10 * time.Second

// After returns a version that is not among the refused ones. Without arguments it returns
// the version to try first, and does not wait. If all known versions were refused, it reads
// the secret, at most as often as Options.Refresh allows; concurrent callers share the
// read. ok is false if there is no other version now. A refused version may be tried again
// later, because it may be a new value that is not in force yet.
func (r *Rotating[T]) After(ctx context.Context, refused ...string) (v Value[T], ok bool) {
	for looked := false; ; {
		r.mu.Lock()
		if v, ok := r.other(refused, false); ok {
			r.mu.Unlock()
			return v, true
		}
		f := r.join(&looked)
		if f == nil {
			defer r.mu.Unlock()
			return r.other(refused, true)
		}
		r.mu.Unlock()
		if !f.wait(ctx) {
			return Value[T]{}, false
		}
	}
}

// other returns a version that was not refused. The order is: the pending version if it was
// accepted last, the current version, the pending one, and, if nothingNewer, the previous
// one. It is called with mu held.
func (r *Rotating[T]) other(refused []string, nothingNewer bool) (Value[T], bool) {
	order := []*Value[T]{r.current}
	if r.pending != nil && r.pending.Version == r.accepted {
		order = []*Value[T]{r.pending, r.current}
	}
	if time.Since(r.asked) < freshness {
		order = append(order, r.pending)
		if nothingNewer {
			order = append(order, r.previous)
		}
	}
	for _, v := range order {
		if v != nil && !slices.Contains(refused, v.Version) {
			return *v, true
		}
	}
	return Value[T]{}, false
}

// Refresh reports whether there is a newer version than the given one, for instance when a
// token is not among those of this version. It reads the secret unless the current version
// is already another one, at most as often as After.
func (r *Rotating[T]) Refresh(ctx context.Context, version string) bool {
	for looked := false; ; {
		r.mu.Lock()
		if r.current.Version != version {
			r.mu.Unlock()
			return true
		}
		f := r.join(&looked)
		r.mu.Unlock()
		if f == nil || !f.wait(ctx) {
			return false
		}
	}
}

// state implements watched.
func (r *Rotating[T]) state() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := State{Name: r.d.Name, ID: r.d.ID, Versions: map[Stage]string{Current: r.current.Version},
		ReadAt: r.readAt.UTC().Truncate(time.Millisecond), Age: time.Since(r.readAt).Seconds()}
	if r.pending != nil && r.pending.Version != r.current.Version {
		s.Versions[Pending] = r.pending.Version
	}
	if r.previous != nil {
		s.Versions[Previous] = r.previous.Version
	}
	if err := r.reads.Err(); err != nil {
		since := r.reads.Since()
		s.FailingSince, s.Error = &since, err.Error()
	}
	return s
}
