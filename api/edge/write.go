package edge

import (
	"net/http"

	"github.com/go-json-experiment/json"
)

// JSON is the media type of JSON.
const JSON = "application/json"

// Write sends a response whose body is in memory. Caches may not store it, unless the
// handler has set Cache-Control.
func Write(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	if contentType == JSON {
		h["Content-Type"] = jsonType
	} else {
		h.Set("Content-Type", contentType)
	}
	if len(h["Cache-Control"]) == 0 {
		h["Cache-Control"] = noStore
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // net/http notices a caller who has left
}

// WriteJSON sends a value as JSON. It encodes the value before it sends anything, so
// that an error can still become a problem. A nil slice or map becomes an empty list or
// object.
func WriteJSON(w http.ResponseWriter, status int, value any, options ...json.Options) error {
	body, err := json.Marshal(value, append(options, json.Deterministic(true))...)
	if err != nil {
		return err
	}
	Write(w, status, JSON, append(body, '\n'))
	return nil
}
