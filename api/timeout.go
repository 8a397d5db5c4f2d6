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
	d := &eventOf(r.Context()).deadline
	d.Start(r.Context(), time.Now().Add(timeout))
	return d, d.Cancel, nil
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
