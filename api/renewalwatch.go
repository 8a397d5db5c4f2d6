package api

import (
	"bytes"
	"context"
	"sync"
	"time"

	"gateway/api/edge"
	"gateway/internal/modelswap"
)

// watchersMax bounds the callers that watch renewals at once. Each has a
// connection for as long as a renewal lasts.
const watchersMax = 100

// watches follow renewals for the callers that watch them. A watched renewal
// is read from the database by one goroutine, however many watch it.
type watches struct {
	look func(ctx context.Context, id string) (*modelswap.Renewal, error)

	mu       sync.Mutex
	byID     map[string]*watch
	watchers int
}

// watch follows one renewal.
type watch struct {
	watchers int // guarded by watches.mu
	stop     context.CancelFunc

	mu   sync.Mutex
	last sighting
}

// sighting is what is known of a renewal that is watched.
type sighting struct {
	renewal *modelswap.Renewal // nil: it was not read yet
	data    []byte             // of its event
	read    time.Time          // when it was read last
	err     error              // why it could not be read again
	news    chan struct{}      // closed once there is another sighting
}

// join watches a renewal. The caller must leave the watch.
func (s *watches) join(id string) (*watch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers == watchersMax {
		return nil, &edge.Refusal{Reason: edge.Unavailable, RetryAfter: EventBeat, Detail: "as many callers watch renewals as may"}
	}
	s.watchers++
	w := s.byID[id]
	if w == nil || w.ended() { // a renewal that has ended may have been resumed since
		ctx, stop := context.WithCancel(context.Background())
		w = &watch{stop: stop, last: sighting{news: make(chan struct{})}}
		if s.byID == nil {
			s.byID = make(map[string]*watch)
		}
		s.byID[id] = w
		go s.follow(ctx, id, w)
	}
	w.watchers++
	return w, nil
}

func (s *watches) leave(id string, w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers--
	if w.watchers--; w.watchers == 0 {
		w.stop()
		if s.byID[id] == w {
			delete(s.byID, id)
		}
	}
}

// follow reads a renewal again and again, until its final state has been read
// or ctx ends.
func (s *watches) follow(ctx context.Context, id string, w *watch) {
	tick := time.NewTicker(eventLook)
	defer tick.Stop()
	for {
		renewal, err := s.look(ctx, id)
		var data []byte
		if err == nil {
			data, err = eventData(renewal)
		}
		w.saw(renewal, data, err)
		if err == nil && renewal.Status.Final() {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// saw notes what a look at the database found, and tells the watchers unless
// nothing has changed.
func (w *watch) saw(renewal *modelswap.Renewal, data []byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := w.last
	if next.err = err; err == nil {
		next.renewal, next.data, next.read = renewal, data, time.Now()
	}
	if err == nil && w.last.err == nil && bytes.Equal(data, w.last.data) {
		w.last.renewal, w.last.read = renewal, next.read
		return
	}
	next.news = make(chan struct{})
	close(w.last.news)
	w.last = next
}

// ended reports whether the final state of the renewal was read, after which it is
// not read again.
func (w *watch) ended() bool {
	seen := w.sighting()
	return seen.err == nil && seen.renewal != nil && seen.renewal.Status.Final()
}

// sighting returns what is known now.
func (w *watch) sighting() sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// first waits until the renewal has been looked at.
func (w *watch) first(ctx context.Context) (sighting, error) {
	for seen := w.sighting(); ; seen = w.sighting() {
		if seen.renewal != nil || seen.err != nil {
			return seen, seen.err
		}
		select {
		case <-seen.news:
		case <-ctx.Done():
			return seen, ctx.Err()
		}
	}
}
