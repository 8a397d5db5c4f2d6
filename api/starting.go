package api

import (
	"net/http"
	"time"
)

// Starting answers for a gateway that waits for something it needs: it is alive,
// so that a supervisor does not restart it, and not ready, so that a load balancer
// sends no requests. Every response closes its connection, so that the next
// request reaches the gateway itself.
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
