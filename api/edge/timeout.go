package edge

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"gateway/internal/callctx"
)

// timeoutHeader is the header that says how many seconds the caller will wait.
const timeoutHeader = "X-Request-Timeout"

// Timeout returns how long a prediction may take: limit, or the time that the header
// X-Request-Timeout gives, if that is shorter.
func Timeout(r *http.Request, limit time.Duration) (time.Duration, error) {
	given := r.Header[timeoutHeader]
	if len(given) == 0 {
		return limit, nil
	}
	wanted, ok := seconds(given[0])
	switch {
	case !ok || len(given) > 1:
		return 0, Refuse(Malformed, "the header %s must be a number of seconds above zero in digits, such as 0.5", timeoutHeader)
	case wanted < limit.Seconds():
		return time.Duration(wanted * float64(time.Second)), nil
	}
	return limit, nil
}

// WithTimeout returns a context of the request with a deadline after Timeout. The
// request's own context has no deadline, because the request is still to be answered.
func WithTimeout(r *http.Request, limit time.Duration) (context.Context, context.CancelFunc, error) {
	limit, err := Timeout(r, limit)
	if err != nil {
		return nil, nil, err
	}
	q := Of(r.Context())
	d := &q.deadline // part of the request's allocation
	if q.timed {
		d = new(callctx.Deadline)
	}
	q.timed = true
	d.Start(r.Context(), time.Now().Add(limit))
	return d, d.Cancel, nil
}

// seconds reads a time in seconds by the grammar of openapi.yaml: digits, with a point
// among them or before them, above zero. A number that no float64 holds is +Inf.
// strconv alone would take signs, exponents, hexadecimal and underscores too.
func seconds(text string) (float64, bool) {
	points := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '.' && i < len(text)-1:
			points++
		case c < '0' || c > '9':
			return 0, false
		}
	}
	if text == "" || points > 1 {
		return 0, false
	}
	x, _ := strconv.ParseFloat(text, 64) // the one error is a number that no float64 holds
	return x, x > 0
}
