package edge

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"gateway/internal/audit"
	"gateway/internal/failure"
)

const (
	// auditHeader bounds a header or a target in the audit log, in bytes.
	auditHeader = 200
	// AuditDetail bounds the detail of an entry of the audit log, in bytes.
	AuditDetail = 4 << 10
)

// RecordAct records an operator's request in the audit log: before it is handled, because
// the process may end meanwhile, and with its status afterwards. If the first entry cannot
// be written, the request is refused. target is the renewal or model in the path, detail
// what the operator asks for; both may be any text.
func (e *Edge) RecordAct(acts audit.Log, target, detail string, w http.ResponseWriter, r *http.Request, next http.Handler) {
	q := Of(r.Context())
	act := audit.Entry{
		ID: failure.NewID(), At: e.d.Now().UTC().Truncate(time.Millisecond), Token: q.Token, RequestID: q.ID,
		Address: e.Address(r), Forwarded: Printable(r.Header.Get("X-Forwarded-For"), auditHeader),
		Action: r.Method + " " + RouteOf(r), Target: Printable(target, auditHeader), Detail: Printable(detail, AuditDetail),
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), auditTimeout)
	defer cancel()
	if err := acts.BeginAct(ctx, act); err != nil {
		Fail(w, r, &failure.Error{Kind: failure.Unavailable, Detail: "nothing was done, because the audit log cannot be written",
			RetryAfter: time.Second, Err: err})
		return
	}
	status := http.StatusInternalServerError // of a panic
	defer func() {
		// ctx may have ended while the request was handled.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), auditTimeout)
		defer cancel()
		if err := acts.EndAct(ctx, act.ID, status, q.Target); err != nil {
			e.d.Log.Error("cannot record the result of an operator's request in the audit log; its entry stays without a status", "act", act.ID, "action", act.Action, "status", status, "error", err)
		}
	}()
	next.ServeHTTP(w, r)
	status = q.Status()
}

// Printable shortens a text that a caller sent to maxBytes, and replaces what is not UTF-8
// and the character U+0000, which databases do not store.
func Printable(text string, maxBytes int) string {
	if len(text) > maxBytes {
		text = text[:maxBytes] + "…"
	}
	if utf8.ValidString(text) && !strings.ContainsRune(text, 0) {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "�"), "\x00", "�")
}
