package api

import (
	"fmt"
	"net/http"
	"runtime/debug"
)

// recovered turns a panic into a problem and keeps its stack for the log. An
// answer that has begun is broken off instead, so that no caller takes half of
// one for the whole.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler {
				panic(cause) // a handler aborted the response; net/http closes the connection
			}
			eventOf(r.Context()).stack = debug.Stack()
			fail(w, r, fmt.Errorf("panic: %v", cause))
		}()
		next.ServeHTTP(w, r)
	})
}
