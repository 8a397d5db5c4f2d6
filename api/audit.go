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

// Bounds of what the audit log keeps of a request, in bytes.
const (
	auditDetail = 4 << 10
	auditHeader = 200
)

// audited records what operators do: before it is done, for an act may take
// the process down, and what came of it. What cannot be recorded is not done.
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
			// The act may have taken longer than the time for one question.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeTimeout)
			defer cancel()
			if err := a.d.Acts.EndAct(ctx, act.ID, status, q.Target); err != nil {
				a.d.Log.Error("the audit log has no end of an act", "act", act.ID, "action", act.Action, "status", status, "error", err)
			}
		}()
		next.ServeHTTP(w, r)
		status = q.Status()
	})
}

// peek returns the beginning of a body of JSON, and a body that still has it.
// Of any other body, customers above all, it returns nothing.
func peek(r *http.Request, most int) (string, io.ReadCloser) {
	if _, err := edge.MediaType(r, edge.JSON); err != nil {
		return "", r.Body
	}
	start, err := io.ReadAll(io.LimitReader(r.Body, int64(most)+1))
	rest := io.Reader(r.Body)
	if err != nil {
		rest = failingReader{err}
	}
	return printable(string(start), most), struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), rest), r.Body}
}

// failingReader gives the error that reading came to.
type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// printable cuts a text that a caller sent to what a record can hold.
func printable(text string, most int) string {
	if len(text) > most {
		text = text[:most] + "…"
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
