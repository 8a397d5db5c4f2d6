package api

import (
	"net/http"
	"sync/atomic"
	"time"
)

// limited sheds load: beyond a number of requests at once, the next is refused
// at once instead of making all of them slow. It guards the apps' routes only,
// for an overloaded gateway must still be seen and steered.
func limited(most int) func(http.Handler) http.Handler {
	var now atomic.Int64
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer now.Add(-1)
			if now.Add(1) > int64(most) {
				fail(w, r, &refusal{reason: unavailable, retryAfter: time.Second,
					detail: "the service has as many requests as it can take"})
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
