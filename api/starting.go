package api

import (
	"net/http"
	"time"

	"gateway/api/edge"
)

// Starting returns the handler of a gateway that has not started yet, because it waits for
// something that it needs. /livez is ok, so that a supervisor does not restart the process.
// /readyz is unavailable, so that a load balancer sends no requests. Every response closes
// its connection, so that the next request reaches the started gateway.
func Starting() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		r = edge.Identified(r)
		w.Header().Set("X-Request-Id", edge.Of(r.Context()).ID)
		switch r.URL.Path {
		case "/livez":
			_ = edge.WriteJSON(w, http.StatusOK, map[string]string{"status": stateOK})
		case "/readyz", "/healthz":
			_ = edge.WriteJSON(w, http.StatusServiceUnavailable, Readiness{Status: stateUnavailable,
				Dependencies: map[string]Condition{"gateway": {State: stateUnavailable}}})
		default:
			edge.Fail(w, r, &edge.Refusal{Reason: edge.Unavailable, RetryAfter: 5 * time.Second, Detail: "the service is starting"})
		}
	})
}
