package api

import (
	"net/http"

	"gateway/internal/failure"
)

// requestID returns the id of a request: the caller's, or a new one.
func requestID(r *http.Request) string {
	if id := givenID(r); id != "" {
		return id
	}
	return failure.NewID()
}

// givenID returns the caller's X-Request-Id if it is a sane one, of at most 128
// visible ASCII characters, else nothing. Anything else could break log lines or
// headers further on.
func givenID(r *http.Request) string {
	const most = 128
	id := r.Header.Get("X-Request-Id")
	if len(id) > most {
		return ""
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return ""
		}
	}
	return id
}
