package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gateway/internal/admission"
	"gateway/internal/failure"

	"github.com/go-json-experiment/json"
)

// Problem is an error as callers see it (RFC 9457). As a Go error it is what
// Client returns when the gateway refuses.
type Problem struct {
	// Type is "urn:gateway:problem:" and the reason. It is meant to be
	// compared, not fetched, and does not change.
	Type      string              `json:"type"`
	Title     string              `json:"title"`
	Status    int                 `json:"status"`
	Detail    string              `json:"detail,omitempty"`
	RequestID string              `json:"request_id"`
	Errors    []failure.Violation `json:"errors,omitempty"`
	// ErrorsOmitted is how many further violations are not in Errors.
	ErrorsOmitted int `json:"errors_omitted,omitzero"`

	retryAfter time.Duration
}

// Error prints title, detail and fields, for people.
func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%d)", p.Title, p.Status)
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	for _, v := range p.Errors {
		fmt.Fprintf(&b, "\n  %s: %s", v.Field, v.Detail)
	}
	if p.ErrorsOmitted > 0 {
		fmt.Fprintf(&b, "\n  and %d more", p.ErrorsOmitted)
	}
	return b.String()
}

const problemType = "urn:gateway:problem:"

// TypeInProgress is the type of the one conflict that passes by itself: a
// request with the same idempotency key is still being handled.
const TypeInProgress = problemType + string(inProgress)

// reason is what is wrong, in the last word of a problem's type.
type reason string

const (
	malformed        reason = "malformed"
	unauthenticated  reason = "unauthenticated"
	forbidden        reason = "forbidden"
	notFound         reason = "not-found"
	methodNotAllowed reason = "method-not-allowed"
	notAcceptable    reason = "not-acceptable"
	slowBody         reason = "slow-body"
	conflict         reason = "conflict"
	keyReused        reason = "idempotency-key-reused"
	inProgress       reason = "in-progress" // a request with the same idempotency key
	tooLarge         reason = "too-large"
	unsupportedMedia reason = "unsupported-media-type"
	invalid          reason = "invalid"
	tooManyRequests  reason = "too-many-requests"
	callerGone       reason = "caller-gone" // for the log: the caller has left
	internal         reason = "internal"
	badModel         reason = "bad-model"
	unavailable      reason = "unavailable"
	deadline         reason = "deadline"
)

// statusCallerGone is what proxies log for a caller who went away. It is never sent.
const statusCallerGone = 499

// describe is the one table of statuses.
func (r reason) describe() (status int, title string) {
	switch r {
	case malformed:
		return http.StatusBadRequest, "Malformed"
	case unauthenticated:
		return http.StatusUnauthorized, "Unauthenticated"
	case forbidden:
		return http.StatusForbidden, "Forbidden"
	case notFound:
		return http.StatusNotFound, "Not found"
	case methodNotAllowed:
		return http.StatusMethodNotAllowed, "Method not allowed"
	case notAcceptable:
		return http.StatusNotAcceptable, "Not acceptable"
	case slowBody:
		return http.StatusRequestTimeout, "Request too slow"
	case conflict:
		return http.StatusConflict, "Conflict"
	case keyReused:
		return http.StatusConflict, "Idempotency key reused"
	case inProgress:
		return http.StatusConflict, "In progress"
	case tooLarge:
		return http.StatusRequestEntityTooLarge, "Too large"
	case unsupportedMedia:
		return http.StatusUnsupportedMediaType, "Unsupported media type"
	case invalid:
		return http.StatusUnprocessableEntity, "Invalid"
	case tooManyRequests:
		return http.StatusTooManyRequests, "Too many requests"
	case callerGone:
		return statusCallerGone, "Caller gone"
	case badModel:
		return http.StatusBadGateway, "The model failed"
	case unavailable:
		return http.StatusServiceUnavailable, "Unavailable"
	case deadline:
		return http.StatusGatewayTimeout, "Deadline exceeded"
	}
	return http.StatusInternalServerError, "Internal error"
}

// refusal is an error that only HTTP knows. Its detail is fit for callers.
type refusal struct {
	reason     reason
	detail     string
	allow      string        // of a 405: the methods that are allowed
	retryAfter time.Duration // of a 429 or 503, or a request in progress
	err        error         // the cause, for the log
}

func (e *refusal) Error() string {
	if e.err != nil {
		return e.detail + ": " + e.err.Error()
	}
	return e.detail
}

func (e *refusal) Unwrap() error { return e.err }

func refuse(why reason, format string, args ...any) *refusal {
	return &refusal{reason: why, detail: fmt.Sprintf(format, args...)}
}

// problemOf turns any error into the problem that callers see. What is not
// known to be fit for them is an internal error without a detail.
func problemOf(ctx context.Context, err error) *Problem {
	p := &Problem{RequestID: eventOf(ctx).id}
	why := classify(ctx, err, p)
	p.Status, p.Title = why.describe()
	p.Type = problemType + string(why)
	var at *lineError
	if errors.As(err, &at) {
		p.Detail = at.prefix() + p.Detail
	}
	return p
}

// classify finds the reason, and fills in detail, violations and delay.
func classify(ctx context.Context, err error, p *Problem) reason {
	var (
		mine    *refusal
		theirs  *failure.Error
		tooLong *http.MaxBytesError
		tooMuch *admission.TooLargeError
	)
	switch {
	case errors.As(err, &mine):
		p.Detail, p.retryAfter = mine.detail, mine.retryAfter
		return mine.reason
	case errors.Is(ctx.Err(), context.Canceled):
		// After the refusals, for net/http also cancels when a body is slow.
		return callerGone
	case errors.As(err, &tooLong):
		p.Detail = fmt.Sprintf("the body may have at most %d bytes", tooLong.Limit)
		return tooLarge
	case errors.As(err, &tooMuch):
		p.Detail = tooMuch.Error()
		return tooLarge
	case errors.As(err, &theirs):
		why := ofKind(theirs.Kind)
		if why != internal {
			p.Detail, p.retryAfter = theirs.Detail, theirs.RetryAfter
			p.list(theirs)
		}
		return why
	case errors.Is(err, context.DeadlineExceeded):
		p.Detail = "no answer within the time allowed"
		return deadline
	case errors.Is(err, context.Canceled):
		p.Detail = "the service is stopping" // the caller is still here, so it was us
		return unavailable
	}
	return internal
}

// list takes over the violations of an error. The detail says that some are
// not listed, where others are.
func (p *Problem) list(e *failure.Error) {
	p.Errors, p.ErrorsOmitted = e.Violations, e.Omitted
	if p.ErrorsOmitted > 0 && len(p.Errors) > 0 {
		p.Detail += fmt.Sprintf("; the first %d are listed, and %d more are not", len(p.Errors), p.ErrorsOmitted)
	}
}

func ofKind(kind failure.Kind) reason {
	switch kind {
	case failure.Invalid:
		return invalid
	case failure.NotFound:
		return notFound
	case failure.Conflict:
		return conflict
	case failure.Unavailable:
		return unavailable
	case failure.BadModel:
		return badModel
	case failure.Deadline:
		return deadline
	}
	return internal
}

// retrySeconds is what Retry-After says: whole seconds, rounded up, at least one.
func retrySeconds(d time.Duration) int {
	return max(1, int(math.Ceil(d.Seconds())))
}

// setHeaders sets what belongs to some statuses besides the body.
func (p *Problem) setHeaders(h http.Header, err error) {
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="gateway"`)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(retrySeconds(p.retryAfter)))
	case http.StatusConflict:
		if p.Type == TypeInProgress {
			h.Set("Retry-After", strconv.Itoa(retrySeconds(p.retryAfter)))
		}
	case http.StatusMethodNotAllowed:
		var r *refusal
		if errors.As(err, &r) {
			h.Set("Allow", r.allow)
		}
	}
}

// append writes the problem as one line of JSON.
func (p *Problem) append(dst []byte) []byte {
	text, err := json.Marshal(p)
	if err != nil {
		// Only text that is not UTF-8 can fail.
		text, _ = json.Marshal(p.escaped())
	}
	return append(dst, text...)
}

// escaped returns the problem with all bytes that are not UTF-8 as \x and two digits.
func (p *Problem) escaped() *Problem {
	q := *p
	q.Detail, q.RequestID = escapeBytes(p.Detail), escapeBytes(p.RequestID)
	q.Errors = make([]failure.Violation, len(p.Errors))
	for i, v := range p.Errors {
		q.Errors[i] = failure.Violation{Field: escapeBytes(v.Field), Code: v.Code, Detail: escapeBytes(v.Detail)}
	}
	return &q
}

func escapeBytes(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, text[0])
		} else {
			b.WriteString(text[:n])
		}
		text = text[n:]
	}
	return b.String()
}

// fail answers a request with an error: a problem, or, below /endpoints/, the
// envelope that AWS SDKs understand.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	ctx := r.Context()
	p := problemOf(ctx, err)
	e := eventOf(ctx)
	e.failed(p, err)
	switch {
	case e.begun():
		// Half an answer is out. Breaking the connection is the only way left
		// to tell the caller that it is not whole.
		panic(http.ErrAbortHandler)
	case p.Status == statusCallerGone:
		// To return would be a 200 without a body, for one who only closed its
		// sending side and still listens.
		panic(http.ErrAbortHandler)
	case strings.HasPrefix(r.URL.Path, invocationsPrefix):
		writeAWSError(w, p, err)
		return
	}
	p.setHeaders(w.Header(), err)
	write(w, p.Status, "application/problem+json", p.append(nil))
}
