package secrets

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"gateway/internal/outage"
)

// Rotating is a secret whose value changes. Its methods never return a value
// that was not understood. It is safe for concurrent use.
type Rotating[T any] struct {
	store *Store
	d     Declared
	parse func(Secret) (T, error)
	log   *slog.Logger

	mu       sync.Mutex
	current  *Value[T]
	pending  *Value[T] // as of the last read that was asked for
	previous *Value[T]
	changed  time.Time // when current became current
	asked    time.Time // when pending and previous were read for After
	accepted string    // id of the version that worked last
	readAt   time.Time // when the source last answered
	reads    outage.Outage

	flight      *flight       // the look under way
	notYet      time.Time     // no look may be asked for before
	minInterval time.Duration // how long after one the next may be
}

// Value is a version of a secret, understood.
type Value[T any] struct {
	Version string
	Data    T
	raw     Secret
}

// Current returns the current version as it was last seen. It never waits.
func (r *Rotating[T]) Current() Value[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *r.current
}

// Valid returns the current version and, until the grace is over, the one
// before it. It never waits.
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

// Accepted notes that a version was found to work. While it is the pending one
// it is offered first, instead of one that was refused before.
func (r *Rotating[T]) Accepted(version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accepted = version
}

// freshness is how long After offers a pending or previous version without
// reading it again.
const freshness = 10 * time.Second

// After returns a version to try after those named were refused; where none
// is named, the one to begin with, without waiting. If it knows of none it
// looks at the source, together with all who ask at that moment, and as seldom
// as Options.Refresh says. ok is false where nothing else is to be had now:
// what was refused may be tried again later, for it may be the right value
// before its time.
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

// other picks a version that was not refused. Where the one that worked last
// is the pending one it comes first, else the current one; the previous one
// comes last, once it is clear that there is nothing newer. It is called with
// mu held.
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

// Refresh is told the current version of which something was not found, a
// token for instance. It looks at the source unless that has changed already,
// and reports whether there is anything newer. It looks as seldom as After.
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
