package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// static is a document that does not change while the process runs.
type static struct {
	contentType string
	body        []byte
	etag        string
	fingerprint string // of the feature schema; empty for other documents
}

func newStatic(contentType string, body []byte) *static {
	sum := sha256.Sum256(body)
	return &static{contentType: contentType, body: body, etag: `"` + hex.EncodeToString(sum[:16]) + `"`}
}

// serve answers with the document, or with 304 to those who have it. The tag
// is a hash of the whole text: the schema's fingerprint would not do, for it
// leaves out descriptions and ranges.
func (s *static) serve(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("ETag", s.etag)
	h.Set("Cache-Control", "no-cache") // keep it, but ask whether it is still good
	if s.fingerprint != "" {
		h.Set("X-Schema-Fingerprint", s.fingerprint)
	}
	for tag := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == s.etag || tag == "*" {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	write(w, http.StatusOK, s.contentType, s.body)
	return nil
}
