package edge

import "net/http"

// What large requests hold of the memory, in bytes. A request is charged before the
// memory is allocated (admission.Limit.Hold), and holds it until its response has been
// written. The first SmallBody bytes of a body belong to what a connection and a
// permit are reckoned with, so a small request is charged nothing.
const (
	// SmallBody is how much of a body is read without a charge. Connections are
	// bounded, and so is what they hold in this way.
	SmallBody = 16 << 10
	// BodyCost is what a byte of a body takes, with the spare room of its buffer.
	BodyCost = 2
)

// Hold raises what a request holds to a number of bytes in all. The error is a
// *failure.Error of kind Unavailable if that much is not free, and an
// *admission.TooLargeError if it is more than one caller may hold.
func (e *Edge) Hold(r *http.Request, bytes int64) error {
	q := Of(r.Context())
	return e.limit.Hold(&q.memory, e.ChargedTo(r), q.Call.Caller, q.permit.class, bytes)
}

// afterWriter is a ResponseWriter that writes the response after the handler has
// returned, as package http1 does.
type afterWriter interface {
	// AfterWrite sets a function to call once the response has been written.
	AfterWrite(func())
}

// freeMemory returns what a request holds once its response has been written.
func (q *Request) freeMemory(w http.ResponseWriter) {
	if !q.memory.Held() {
		return
	}
	if later, ok := w.(afterWriter); ok {
		later.AfterWrite(q.memory.Free)
		return
	}
	q.memory.Free()
}
