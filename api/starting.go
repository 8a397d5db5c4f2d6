package api

import (
	"net/http"
	"time"
)

// Starting answers for a gateway that still waits for something it needs: it
// is alive, so that nobody restarts it, and not ready, so that nobody sends
// it requests. Every answer closes its connection, for the next one is for the
// gateway itself.
func Starting() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.Header().Set("X-Request-Id", requestID(r))
		switch r.URL.Path {
		case "/livez":
			_ = writeJSON(w, http.StatusOK, map[string]string{"status": stateOK})
		case "/readyz", "/healthz":
			_ = writeJSON(w, http.StatusServiceUnavailable, Readiness{Status: stateUnavailable,
				Dependencies: map[string]Condition{"gateway": {State: stateUnavailable}}})
		default:
			fail(w, r, &refusal{reason: unavailable, retryAfter: 5 * time.Second, detail: "the service is starting"})
		}
	})
}
