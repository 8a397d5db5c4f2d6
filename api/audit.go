package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"gateway/api/edge"
	"gateway/internal/audit"
	"gateway/internal/failure"

	"github.com/go-chi/chi/v5"
)

// ActList is the body of GET /admin/audit, newest first.
type ActList struct {
	Acts []audit.Entry `json:"acts"`
}

// Bounds of the fields of an audit log entry, in bytes.
const (
	auditDetail = 4 << 10
	auditHeader = 200
)

// audited records an operator's request in the audit log: before it is handled, because
// the process may end meanwhile, and with its status afterwards. If the first entry cannot
// be written, the request is refused.
func (a *api) audited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := edge.Of(r.Context())
		act := audit.Entry{
			ID: failure.NewID(), At: time.Now().UTC().Truncate(time.Millisecond), Token: q.Token, RequestID: q.ID,
			Address: a.edge.Address(r), Forwarded: printable(r.Header.Get("X-Forwarded-For"), auditHeader),
			Action: r.Method + " " + edge.RouteOf(r), Target: printable(chi.URLParam(r, "id"), auditHeader),
		}
		if act.Detail, r.Body = peek(r, auditDetail); r.Method == http.MethodGet {
			act.Detail = printable(exportQuery(r), auditDetail)
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeTimeout)
		defer cancel()
		if err := a.d.Acts.BeginAct(ctx, act); err != nil {
			edge.Fail(w, r, &failure.Error{Kind: failure.Unavailable, Detail: "nothing was done, because the audit log cannot be written",
				RetryAfter: time.Second, Err: err})
			return
		}
		status := http.StatusInternalServerError // of a panic
		defer func() {
			// ctx may have ended while the request was handled.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeTimeout)
			defer cancel()
			if err := a.d.Acts.EndAct(ctx, act.ID, status, q.Target); err != nil {
				a.d.Log.Error("cannot record the result of an operator's request in the audit log; its entry stays without a status", "act", act.ID, "action", act.Action, "status", status, "error", err)
			}
		}()
		next.ServeHTTP(w, r)
		status = q.Status()
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
	return printable(string(start), maxBytes), struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), rest), r.Body}
}

// failingReader returns the error of an earlier read.
type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// printable shortens a text that a caller sent to maxBytes, and replaces what is not UTF-8
// and the character U+0000, which databases do not store.
func printable(text string, maxBytes int) string {
	if len(text) > maxBytes {
		text = text[:maxBytes] + "…"
	}
	if utf8.ValidString(text) && !strings.ContainsRune(text, 0) {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "�"), "\x00", "�")
}

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
