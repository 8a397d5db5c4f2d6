package api

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"

	"gateway/internal/modelswap"

	"github.com/go-json-experiment/json"
)

const (
	eventsType = "text/event-stream"

	// eventLook is how often the row of a watched renewal is read. All processes that work
	// on renewals write it.
	eventLook = 250 * time.Millisecond
	// EventBeat is how often a comment is sent while nothing changes. It keeps proxies from
	// closing an idle stream, and lets both sides notice a broken connection.
	EventBeat = 15 * time.Second
	// eventWrite is the deadline of a write. HTTP/2 ends a stream at its deadline even between
	// writes, so it is longer than EventBeat and storeTimeout together.
	eventWrite = 30 * time.Second
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
	s := &eventStream{w: w, rc: http.NewResponseController(w)}
	if r.Header.Get("Last-Event-ID") == eventID(seen.renewal) {
		if seen.renewal.Status.Final() {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusNoContent) // after any other status a browser would connect again
			return nil
		}
		s.told = seen.data
	}
	down := a.edge.ShuttingDown(r)
	beat := time.NewTicker(EventBeat)
	defer beat.Stop()
	s.begin()
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
			if s.write([]byte(": still here\n\n")) != nil {
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

// eventStream is a response of server-sent events, as the HTML standard defines them.
type eventStream struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	told []byte // data of the event that was sent last
}

func (s *eventStream) begin() {
	h := s.w.Header()
	h.Set("Content-Type", eventsType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies must not collect the events
	h.Set("Connection", "close")     // the deadlines must not remain for a next request
	// The server goes on reading, to notice when the caller leaves. Its deadline for reading
	// the request would look like that.
	_ = s.rc.SetReadDeadline(time.Time{})
	s.w.WriteHeader(http.StatusOK)
	_ = s.write(nil)
}

// tell sends the renewal if its data has changed. A new revision may have the same data, and
// data may change without a new revision.
func (s *eventStream) tell(seen sighting) error {
	if bytes.Equal(seen.data, s.told) {
		return nil
	}
	s.told = seen.data
	event := append([]byte("id: "+eventID(seen.renewal)+"\nevent: renewal\ndata: "), seen.data...)
	return s.write(append(event, "\n\n"...))
}

func (s *eventStream) write(text []byte) error {
	_ = s.rc.SetWriteDeadline(time.Now().Add(eventWrite))
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.rc.Flush()
}
