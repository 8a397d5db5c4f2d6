package api

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"gateway/api/edge"
	"gateway/internal/audit"

	"github.com/go-chi/chi/v5"
)

// ActList is the body of GET /admin/audit, newest first.
type ActList struct {
	Acts []audit.Entry `json:"acts"`
}

// audited records an operator's request in the audit log.
func (a *api) audited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var detail string
		if detail, r.Body = peek(r, edge.AuditDetail); r.Method == http.MethodGet {
			detail = exportQuery(r)
		}
		a.edge.RecordAct(a.d.Acts, chi.URLParam(r, "id"), detail, w, r, next)
	})
}

// peek returns the beginning of a JSON body, and a body from which it can be read again.
// For other media types, such as customers, it returns "".
func peek(r *http.Request, maxBytes int) (string, io.ReadCloser) {
	if _, err := edge.MediaType(r, edge.JSON); err != nil {
		return "", r.Body
	}
	start, err := io.ReadAll(io.LimitReader(r.Body, int64(maxBytes)+1))
	rest := io.Reader(r.Body)
	if err != nil {
		rest = failingReader{err}
	}
	return string(start), struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), rest), r.Body}
}

// failingReader returns the error of an earlier read.
type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

func (a *api) audit(w http.ResponseWriter, r *http.Request) error {
	limit, before, err := page(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	acts, err := a.d.Acts.Acts(ctx, limit, before)
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusOK, ActList{acts})
}
