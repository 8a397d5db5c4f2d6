package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"gateway/api/edge"
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

// serve sends the document, or 304 if the header If-None-Match has its entity tag. The tag
// is a hash of the whole text. The schema's fingerprint cannot be the tag, because it does
// not cover descriptions and ranges.
func (s *static) serve(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("ETag", s.etag)
	h.Set("Cache-Control", "no-cache") // caches may store it, and must revalidate it
	if s.fingerprint != "" {
		h.Set("X-Schema-Fingerprint", s.fingerprint)
	}
	if hasTag(r, s.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	edge.Write(w, http.StatusOK, s.contentType, s.body)
	return nil
}

// hasTag reports whether If-None-Match has an entity tag (RFC 9110, section 13.1.2). Weak
// tags count too. Text after a syntax error is ignored.
func hasTag(r *http.Request, tag string) bool {
	rest := strings.Join(r.Header.Values("If-None-Match"), ",")
	if strings.TrimSpace(rest) == "*" {
		return true
	}
	for {
		rest = strings.TrimLeft(rest, " \t,")
		rest = strings.TrimPrefix(rest, "W/")
		if !strings.HasPrefix(rest, `"`) {
			return false
		}
		end := strings.IndexByte(rest[1:], '"') + len(`""`)
		if end < len(`""`) {
			return false
		}
		if rest[:end] == tag {
			return true
		}
		rest = rest[end:]
	}
}

// compressed is a document in two encodings. gzip is nil if there is one encoding.
type compressed struct{ plain, gzip *static }

func (c *compressed) serve(w http.ResponseWriter, r *http.Request) error {
	w.Header().Add("Vary", "Accept-Encoding")
	if c.gzip == nil || !acceptsGzip(r) {
		return c.plain.serve(w, r)
	}
	w.Header().Set("Content-Encoding", "gzip")
	return c.gzip.serve(w, r)
}

// acceptsGzip reports whether a request accepts gzip (RFC 9110, section 12.5.3).
func acceptsGzip(r *http.Request) bool {
	for item := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, parameter, _ := strings.Cut(item, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		weight, _ := strings.CutPrefix(strings.TrimSpace(parameter), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		return err != nil || q > 0
	}
	return false
}
