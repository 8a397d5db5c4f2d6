package edge

import (
	"net/http"
	"time"
)

const (
	// EventBeat is how often a comment is sent while nothing changes. It keeps proxies from
	// closing an idle stream, and lets both sides notice a broken connection.
	EventBeat = 15 * time.Second
	// eventWrite is the deadline of a write. HTTP/2 ends a stream at its deadline even between
	// writes, so it is longer than EventBeat and the longest call of a store together.
	eventWrite = 30 * time.Second
)

// EventStream is a response of server-sent events, as the HTML standard defines them.
type EventStream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// NewEventStream returns a stream that has not begun.
func NewEventStream(w http.ResponseWriter) *EventStream {
	return &EventStream{w: w, rc: http.NewResponseController(w)}
}

// Begin sends the headers.
func (s *EventStream) Begin() {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h["Cache-Control"] = noStore
	h.Set("X-Accel-Buffering", "no") // proxies must not collect the events
	h.Set("Connection", "close")     // the deadlines must not remain for a next request
	// The server goes on reading, to notice when the caller leaves. Its deadline for reading
	// the request would look like that.
	_ = s.rc.SetReadDeadline(time.Time{})
	s.w.WriteHeader(http.StatusOK)
	_ = s.write(nil)
}

// Send sends an event. id may be empty; data has no newline. An error means that the caller
// has left.
func (s *EventStream) Send(id, event string, data []byte) error {
	var text []byte
	if id != "" {
		text = append(text, "id: "+id+"\n"...)
	}
	text = append(text, "event: "+event+"\ndata: "...)
	text = append(text, data...)
	return s.write(append(text, "\n\n"...))
}

// Beat sends a comment. An error means that the caller has left.
func (s *EventStream) Beat() error { return s.write([]byte(": still here\n\n")) }

func (s *EventStream) write(text []byte) error {
	_ = s.rc.SetWriteDeadline(time.Now().Add(eventWrite))
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.rc.Flush()
}
