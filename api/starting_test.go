package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gateway/api"
	"gateway/api/edge"
)

// A caller that reports a problem of the start has the id of its request.
func TestProblemsOfTheStartNameTheirRequest(t *testing.T) {
	for _, given := range []string{"", "the-callers-own"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/predict", strings.NewReader("{}"))
		r.Header.Set("X-Request-Id", given)
		w := httptest.NewRecorder()
		api.Starting().ServeHTTP(w, r)
		var p edge.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusServiceUnavailable {
			t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
		}
		id := w.Header().Get("X-Request-Id")
		if p.RequestID != id || id == "" || given != "" && id != given {
			t.Errorf("the problem is of request %q, the header of %q, the caller's %q", p.RequestID, id, given)
		}
	}
}
