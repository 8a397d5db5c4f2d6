package api

import (
	"bytes"
	"context"
	"sync"
	"time"

	"gateway/api/edge"
	"gateway/internal/modelswap"
)

// maxWatchers bounds the callers that watch renewals at the same time. Each has a connection
// for as long as a renewal lasts.
const maxWatchers = 100

// watches are the renewals that callers watch. One goroutine for each renewal reads it from
// the database, for all of its callers.
type watches struct {
	look func(ctx context.Context, id string) (*modelswap.Renewal, error)

	mu       sync.Mutex
	byID     map[string]*watch
	watchers int
}

// watch is a renewal that callers watch.
type watch struct {
	watchers int // guarded by watches.mu
	stop     context.CancelFunc

	mu   sync.Mutex
	last sighting
}

// sighting is the result of reading a renewal.
type sighting struct {
	renewal *modelswap.Renewal // as it was read last; nil: it was not read yet
	data    []byte             // of its event
	read    time.Time          // when it was read last
	err     error              // of the last read; nil: it succeeded
	news    chan struct{}      // closed when there is a later sighting
}

// join adds a watcher of a renewal, which must call leave at the end.
func (s *watches) join(id string) (*watch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers == maxWatchers {
		return nil, &edge.Refusal{Reason: edge.Unavailable, RetryAfter: edge.EventBeat, Detail: "as many callers watch renewals as the service allows"}
	}
	s.watchers++
	w := s.byID[id]
	if w == nil || w.ended() { // it may have been resumed since it ended
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

// follow reads a renewal every eventLook until it has read its final state or ctx ends.
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

// saw stores the result of a read. It wakes the watchers if the data or the error has
// changed.
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

// ended reports whether the final state of the renewal has been read. follow has returned
// then.
func (w *watch) ended() bool {
	seen := w.sighting()
	return seen.err == nil && seen.renewal != nil && seen.renewal.Status.Final()
}

// sighting returns the newest result.
func (w *watch) sighting() sighting {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// first waits for the first result.
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
