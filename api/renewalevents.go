package api

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"

	"gateway/api/edge"
	"gateway/internal/modelswap"

	"github.com/go-json-experiment/json"
)

const (
	// eventLook is how often the row of a watched renewal is read. All processes that work
	// on renewals write it.
	eventLook = 250 * time.Millisecond
	// eventMaxAge is how long reading the row may fail before a stream ends.
	eventMaxAge = 30 * time.Second
)

// renewalEvents sends the state of a renewal at once and after each change, until the final
// state has been sent, the caller leaves, or the server shuts down.
func (a *api) renewalEvents(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), renewalID(r)
	watch, err := a.watches.join(id)
	if err != nil {
		return err
	}
	defer a.watches.leave(id, watch)
	seen, err := watch.first(ctx)
	if err != nil {
		return err
	}
	s := renewalStream{EventStream: edge.NewEventStream(w)}
	if r.Header.Get("Last-Event-ID") == eventID(seen.renewal) {
		if seen.renewal.Status.Final() {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusNoContent) // after any other status a browser would connect again
			return nil
		}
		s.told = seen.data
	}
	down := a.edge.ShuttingDown(r)
	beat := time.NewTicker(edge.EventBeat)
	defer beat.Stop()
	s.Begin()
	if r.Method == http.MethodHead {
		return nil
	}
	for ; ; seen = watch.sighting() {
		if seen.err != nil && time.Since(seen.read) > eventMaxAge {
			return seen.err // closes the connection, because the renewal has not ended
		}
		if err := s.tell(seen); err != nil || seen.renewal.Status.Final() {
			return nil // an error means that the caller has left
		}
		select {
		case <-ctx.Done():
			return nil
		case <-down:
			return nil
		case <-beat.C:
			if s.Beat() != nil {
				return nil
			}
		case <-seen.news:
		}
	}
}

func (a *api) look(ctx context.Context, id string) (*modelswap.Renewal, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return a.d.Renewals.Renewal(ctx, id)
}

func eventID(r *modelswap.Renewal) string { return strconv.FormatInt(r.Revision, 10) }

func eventData(r *modelswap.Renewal) ([]byte, error) {
	return json.Marshal(r, json.Deterministic(true))
}

// renewalStream sends the states of a renewal.
type renewalStream struct {
	*edge.EventStream
	told []byte // data of the event that was sent last
}

// tell sends the renewal if its data has changed. A new revision may have the same data, and
// data may change without a new revision.
func (s *renewalStream) tell(seen sighting) error {
	if bytes.Equal(seen.data, s.told) {
		return nil
	}
	s.told = seen.data
	return s.Send(eventID(seen.renewal), "renewal", seen.data)
}
