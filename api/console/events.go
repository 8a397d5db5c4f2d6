package console

import (
	"net/http"
	"strconv"
	"time"

	"gateway/api/edge"
)

const (
	// maxStreams bounds the pages that are shown live at the same time.
	maxStreams = 64
	// maxEvery bounds how long a live page waits between two reads, in seconds.
	maxEvery = 60
)

// events tells a page every few seconds, as its query says, to read itself again. The stream
// ends with the session.
func (c *Console) events(w http.ResponseWriter, r *http.Request) error {
	every, err := strconv.Atoi(r.URL.Query().Get("every"))
	if err != nil || every < 1 || every > maxEvery {
		return edge.Refuse(edge.Invalid, "every must be a number of seconds from 1 to %d", maxEvery)
	}
	done, err := c.takeStream()
	if err != nil {
		return err
	}
	defer done()
	stream, down := edge.NewEventStream(w), c.d.Edge.ShuttingDown(r)
	tick := time.NewTicker(time.Duration(every) * time.Second)
	defer tick.Stop()
	stream.Begin()
	if r.Method == http.MethodHead {
		return nil
	}
	for {
		select {
		case <-r.Context().Done():
			return nil
		case <-down:
			return nil
		case <-tick.C:
		}
		if c.signedOut(r, stream) || stream.Send("", "tick", []byte("{}")) != nil {
			return nil
		}
	}
}

// takeStream counts a stream of events until done is called.
func (c *Console) takeStream() (done func(), err error) {
	select {
	case c.streams <- struct{}{}:
		return func() { <-c.streams }, nil
	default:
		return nil, &edge.Refusal{Reason: edge.Unavailable, RetryAfter: edge.EventBeat, Detail: "as many pages are shown live as the service allows"}
	}
}

// signedOut reports whether the session of a stream has ended, and tells the page if so.
func (c *Console) signedOut(r *http.Request, stream *edge.EventStream) bool {
	if c.session(r) != nil {
		return false
	}
	_ = stream.Send("", "signed-out", []byte("{}"))
	return true
}
