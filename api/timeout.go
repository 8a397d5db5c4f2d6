package api

import (
	"context"
	"net/http"
	"strconv"
	"time"
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
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	return ctx, cancel, nil
}
