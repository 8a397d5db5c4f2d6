package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"gateway/internal/predict"

	"github.com/go-chi/chi/v5"
)

// timeoutHeader says how many seconds the caller will wait for its answer.
const timeoutHeader = "X-Request-Timeout"

// withPredictTimeout bounds a prediction by what its caller will wait for and by
// PredictTimeout. What cannot be answered in that time is refused by the queue
// for the model, before it costs a call.
func (a *api) withPredictTimeout(r *http.Request) (context.Context, context.CancelFunc, error) {
	timeout := a.o.PredictTimeout
	if given := r.Header[timeoutHeader]; len(given) > 0 {
		wanted, ok := seconds(given[0])
		if !ok || len(given) > 1 {
			return nil, nil, refuse(malformed, "the header %s must be a number of seconds above zero in digits, such as 0.5", timeoutHeader)
		}
		if wanted < timeout.Seconds() {
			timeout = time.Duration(wanted * float64(time.Second))
		}
	}
	e, ok := r.Context().(*event)
	if !ok { // something has been put around it, and would not see the limit
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		return ctx, cancel, nil
	}
	e.limit.begin(timeout)
	return e, e.limit.end, nil
}

// timeLimit is the deadline of a request while its prediction is made. It makes
// a context with a timer only for those who need one: most requests are answered
// without (see predict.SplitDeadline). The zero value is no limit, and so is one that
// has ended.
type timeLimit struct {
	mu     sync.Mutex
	until  time.Time
	timed  context.Context // nil until it is needed
	cancel context.CancelFunc
}

func (l *timeLimit) begin(timeout time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Now().Add(timeout)
}

// end ends what has been begun for the prediction. The request's own context
// goes on: it has to be answered yet.
func (l *timeLimit) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		l.cancel()
	}
	l.until, l.timed, l.cancel = time.Time{}, nil, nil
}

// state returns the deadline, if there is one, and the context that has it, if
// that was needed already.
func (l *timeLimit) state() (until time.Time, timed context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until, l.timed
}

// over returns parent with the deadline, if there is one.
func (l *timeLimit) over(parent context.Context) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until.IsZero() {
		return parent
	}
	if l.timed == nil {
		l.timed, l.cancel = context.WithDeadline(parent, l.until)
	}
	return l.timed
}

var _ predict.SplitDeadline = (*event)(nil)

// Deadline implements context.Context.
func (e *event) Deadline() (time.Time, bool) {
	if until, _ := e.limit.state(); !until.IsZero() {
		return until, true // the server's context has none
	}
	return e.Context.Deadline()
}

// Done implements context.Context.
func (e *event) Done() <-chan struct{} { return e.limit.over(e.Context).Done() }

// Err implements context.Context.
func (e *event) Err() error {
	until, timed := e.limit.state()
	switch {
	case timed != nil:
		return timed.Err()
	case e.Context.Err() != nil:
		return e.Context.Err()
	case !until.IsZero() && !time.Now().Before(until):
		return context.DeadlineExceeded
	}
	return nil
}

// CallerContext implements predict.SplitDeadline.
func (e *event) CallerContext() context.Context { return e.Context }

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
	if _, timed := e.limit.state(); timed != nil {
		return timed.Value(key) // package context asks for its own
	}
	return e.Context.Value(key)
}
