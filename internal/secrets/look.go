package secrets

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// flight is a read of the source that several callers may wait for.
type flight struct {
	done  chan struct{}
	asked bool // requested by After or Refresh: it reads all stages
}

// wait waits until the read or ctx ends. It reports whether the read has ended.
func (f *flight) wait(ctx context.Context) bool {
	select {
	case <-f.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// join returns the read under way, or starts one if Options.Refresh allows it now. It
// returns nil if there is nothing to wait for. It sets looked when it returns a read that
// After or Refresh requested, and does not start another one for the same caller. A regular
// read does not set looked, because it may have started before the secret changed. join is
// called with mu held.
func (r *Rotating[T]) join(looked *bool) *flight {
	f := r.flight
	if f == nil && !*looked && !time.Now().Before(r.notYet) {
		f = r.startLook(true)
	}
	if f != nil && f.asked {
		*looked = true
	}
	return f
}

// keep reads the secret regularly until the store is closed.
func (r *Rotating[T]) keep() {
	wait := firstWait
	for {
		next := shorten(r.store.o.TTL)
		r.mu.Lock()
		if r.reads.Lasts() {
			next, wait = shorten(wait), min(2*wait, maxWait, r.store.o.TTL)
		} else {
			wait = firstWait
		}
		r.mu.Unlock()
		select {
		case <-r.store.ctx.Done():
			return
		case <-time.After(next):
		}
		r.mu.Lock()
		f := r.flight
		if f == nil {
			f = r.startLook(false)
		}
		r.mu.Unlock()
		<-f.done
	}
}

// startLook starts a read. The read continues if its caller stops waiting. startLook is
// called with mu held, and only if no read is under way.
func (r *Rotating[T]) startLook(asked bool) *flight {
	f := &flight{done: make(chan struct{}), asked: asked}
	r.flight = f
	current, pending := r.current, r.pending
	r.store.looks.Go(func() {
		ctx, cancel := context.WithTimeout(r.store.ctx, r.store.o.Timeout)
		defer cancel()
		news, err := r.look(ctx, asked)
		r.mu.Lock()
		r.note(err)
		if asked {
			r.rest(!same(r.current, current) || r.pending != nil && !same(r.pending, pending))
		}
		r.flight = nil
		close(f.done)
		r.mu.Unlock()
		if news || err == nil && !asked {
			r.readPrevious(ctx, news) // the callers need not wait for it
		}
	})
	return f
}

func same[T any](a, b *Value[T]) bool { return a != nil && b != nil && a.Version == b.Version }

// rest sets the time before which After and Refresh start no other read. news reports that
// the last read found a new version. It is called with mu held.
func (r *Rotating[T]) rest(news bool) {
	minimum := r.store.o.Refresh
	if news {
		r.minInterval = 0
	}
	r.minInterval = min(max(minimum, 2*r.minInterval), 20*minimum)
	r.notYet = time.Now().Add(r.minInterval)
}

// errForm is wrapped by the errors of parse.
var errForm = errors.New("the value of the secret is malformed")

// read reads and parses the version of one stage. It also returns when the version was
// created.
func (r *Rotating[T]) read(ctx context.Context, stage Stage) (*Value[T], time.Time, error) {
	version, err := r.d.Source.Get(ctx, r.d.ID, stage)
	if err != nil {
		return nil, time.Time{}, err
	}
	data, err := r.parse(version.Value)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: %w", errForm, err)
	}
	return &Value[T]{version.ID, data, version.Value}, version.Created, nil
}

// firstLook reads the current version, and the previous one within the grace.
func (r *Rotating[T]) firstLook(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.store.o.Timeout)
	defer cancel()
	current, created, err := r.read(ctx, Current)
	r.store.metrics.read(r.d.Name, err)
	if err != nil {
		return err
	}
	r.current, r.readAt, r.changed = current, time.Now(), created
	if created.IsZero() {
		r.changed = r.readAt
	}
	r.readPrevious(ctx, false)
	return nil
}

// look reads the current version, and reports whether it is new. If asked is true and the
// version is not new, it also reads the pending and the previous version.
func (r *Rotating[T]) look(ctx context.Context, asked bool) (news bool, err error) {
	seen, _, err := r.read(ctx, Current)
	r.store.metrics.read(r.d.Name, err)
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	old, last := r.current, r.previous
	news = seen.Version != old.Version || !seen.raw.Equal(old.raw)
	if news {
		r.current, r.previous, r.pending, r.changed = seen, old, nil, time.Now()
		r.log.Info("a secret was rotated; the new version is in use", "version", seen.Version, "before", old.Version)
	}
	r.mu.Unlock()
	if news || !asked {
		return news, nil
	}
	pending, _, err := r.read(ctx, Pending)
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrRefused) && !errors.Is(err, errForm) {
		return false, err
	}
	previous, _, err := r.read(ctx, Previous)
	if err != nil {
		previous = last
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending, r.previous, r.asked = pending, previous, time.Now()
	return false, nil
}

// readPrevious reads the previous version after a rotation, because the last one that this
// process has read may be older, and during the grace, because the version may be withdrawn.
// If the read fails, it keeps the known one.
func (r *Rotating[T]) readPrevious(ctx context.Context, news bool) {
	r.mu.Lock()
	due, current := news || r.inGrace(), r.current
	r.mu.Unlock()
	if !due {
		return
	}
	previous, _, err := r.read(ctx, Previous)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == current { // else it precedes another version
		r.previous = previous
	}
}

// note records the result of a read, and logs when reads begin to fail and when they
// succeed again. It is called with mu held.
func (r *Rotating[T]) note(err error) {
	switch {
	case r.store.ctx.Err() != nil: // Close cancelled the read: its error says nothing about the source
	case err == nil:
		r.reads.Succeeded(r.log.Info, "a secret can be read again")
		r.readAt = time.Now()
	default:
		r.reads.Failed(r.log.Error, err, "cannot read a secret; its last value stays in use; trying again", "version", r.current.Version)
	}
}
