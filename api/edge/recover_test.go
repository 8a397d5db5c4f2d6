package edge

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestAnAbortedResponseIsLeftToNetHTTP(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/schema", nil)
	x := newExchange(w, r, time.Now(), nil)
	defer func() {
		if cause := recover(); cause != http.ErrAbortHandler {
			t.Errorf("got %v", cause)
		}
		if x.Begun() || x.stack != nil {
			t.Errorf("it was answered with %d, or has a stack for the log", w.Code)
		}
	}()
	recovered(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })).ServeHTTP(&x.response, r.WithContext(&x.context))
}
