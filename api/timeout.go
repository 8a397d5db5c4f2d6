package api

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"gateway/internal/predict"

	"github.com/go-chi/chi/v5"
)

// timeoutHeader says how many seconds the caller will wait for its answer.
const timeoutHeader = "X-Request-Timeout"

// inTime bounds a prediction by what its caller will wait for and by
// PredictTimeout. What cannot be answered in that time is refused by the queue
// for the model, before it costs a call.
func (a *api) inTime(r *http.Request) (context.Context, context.CancelFunc, error) {
	timeout := a.o.PredictTimeout
	if given := r.Header[timeoutHeader]; len(given) > 0 {
		seconds, err := strconv.ParseFloat(given[0], 64)
		if err != nil || !(seconds > 0) || len(given) > 1 {
			return nil, nil, refuse(malformed, "the header %s must be a number of seconds above zero, such as 0.5", timeoutHeader)
		}
		if seconds < timeout.Seconds() {
			timeout = time.Duration(seconds * float64(time.Second))
		}
	}
	e, ok := r.Context().(*event)
	if !ok { // something has been put around it, and would not see the limit
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		return ctx, cancel, nil
	}
	e.limit.until = time.Now().Add(timeout)
	return e, e.limit.release, nil
}

// timeLimit is the deadline of a request. It makes a context with a timer only
// for those who need one: most requests are answered without (see
// predict.Patient).
type timeLimit struct {
	until time.Time // zero: none. Set before anybody else has the request's context

	mu     sync.Mutex
	timed  context.Context // nil until it is needed
	cancel context.CancelFunc
}

// context returns parent with the deadline, where there is one.
func (l *timeLimit) context(parent context.Context) context.Context {
	if l.until.IsZero() {
		return parent
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timed == nil {
		l.timed, l.cancel = context.WithDeadline(parent, l.until)
	}
	return l.timed
}

// made returns the context with the deadline if there is one already, else parent.
func (l *timeLimit) made(parent context.Context) context.Context {
	if l.until.IsZero() {
		return parent
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timed == nil {
		return parent
	}
	return l.timed
}

func (l *timeLimit) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		l.cancel()
	}
}

var _ predict.Patient = (*event)(nil)

// Deadline implements context.Context.
func (e *event) Deadline() (time.Time, bool) {
	if e.limit.until.IsZero() {
		return e.Context.Deadline()
	}
	return e.limit.until, true // the server's context has none
}

// Done implements context.Context.
func (e *event) Done() <-chan struct{} { return e.limit.context(e.Context).Done() }

// Err implements context.Context.
func (e *event) Err() error {
	if err := e.limit.made(e.Context).Err(); err != nil {
		return err
	}
	if until := e.limit.until; !until.IsZero() && !time.Now().Before(until) {
		return context.DeadlineExceeded
	}
	return nil
}

// Left implements predict.Patient.
func (e *event) Left() <-chan struct{} { return e.Context.Done() }

// Value implements context.Context.
func (e *event) Value(key any) any {
	switch key {
	case eventKey{}:
		return e
	case chi.RouteCtxKey:
		return &e.route
	case predict.CallIDKey{}:
		return &e.callID
	case predict.CallerKey{}:
		return e.apiKey
	}
	return e.limit.made(e.Context).Value(key)
}
