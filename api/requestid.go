package api

import (
	"net/http"

	"gateway/internal/predict"
)

// requestID returns the caller's X-Request-Id if it is a sane one, 1 to 128
// visible ASCII characters, else a new one. Anything else could break log
// lines or headers further on.
func requestID(r *http.Request) string {
	const most = 128
	id := r.Header.Get("X-Request-Id")
	if id == "" || len(id) > most {
		return predict.NewID()
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return predict.NewID()
		}
	}
	return id
}
