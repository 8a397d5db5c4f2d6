package api

import (
	"context"
	"net/http"
	"time"

	"gateway/internal/callctx"

	"github.com/go-chi/chi/v5"
)

// timeoutHeader says how many seconds the caller will wait for its answer.
const timeoutHeader = "X-Request-Timeout"

// withPredictTimeout bounds a prediction by what its caller will wait for and by
// PredictTimeout. What cannot be answered in that time is refused by the queue
// for the model, before it costs a call.
func (a *api) withPredictTimeout(r *http.Request) (context.Context, context.CancelFunc, error) {
	timeout, err := a.predictTimeout(r)
	if err != nil {
		return nil, nil, err
	}
	d := &eventOf(r.Context()).deadline
	d.Start(r.Context(), time.Now().Add(timeout))
	return d, d.Cancel, nil
}

// predictTimeout returns the time that a prediction may take: what its caller
// will wait for, and PredictTimeout at most.
func (a *api) predictTimeout(r *http.Request) (time.Duration, error) {
	given := r.Header[timeoutHeader]
	if len(given) == 0 {
		return a.o.PredictTimeout, nil
	}
	wanted, ok := seconds(given[0])
	switch {
	case !ok || len(given) > 1:
		return 0, refuse(malformed, "the header %s must be a number of seconds above zero in digits, such as 0.5", timeoutHeader)
	case wanted < a.o.PredictTimeout.Seconds():
		return time.Duration(wanted * float64(time.Second)), nil
	}
	return a.o.PredictTimeout, nil
}

// Value implements context.Context.
func (e *event) Value(key any) any {
	switch key {
	case eventKey{}:
		return e
	case chi.RouteCtxKey:
		return &e.route
	case callctx.Key{}:
		return &e.call
	}
	return e.Context.Value(key)
}
