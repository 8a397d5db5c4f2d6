package edge

import (
	"fmt"
	"net/http"
	"runtime/debug"
)

// recovered answers a panic with a problem, and keeps the stack for the log. If part
// of the response has been sent, the connection is closed, because the response is
// incomplete.
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
			Of(r.Context()).stack = debug.Stack()
			Fail(w, r, fmt.Errorf("panic: %v", cause))
		}()
		next.ServeHTTP(w, r)
	})
}
