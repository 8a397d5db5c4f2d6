package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWhoBreaksOffOnPurposeIsLeftToNetHTTP(t *testing.T) {
	w := httptest.NewRecorder()
	e := &event{out: recorder{ResponseWriter: w}}
	r := httptest.NewRequestWithContext(context.WithValue(t.Context(), eventKey{}, e), "GET", "/schema", nil)
	defer func() {
		if cause := recover(); cause != http.ErrAbortHandler {
			t.Errorf("got %v", cause)
		}
		if e.begun() || e.stack != nil {
			t.Errorf("it was answered with %d, or logged as a fault", w.Code)
		}
	}()
	recovered(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })).ServeHTTP(&e.out, r)
}
