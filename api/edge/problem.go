package edge

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

// Problem is an error as callers see it (RFC 9457). It is also the Go error that
// package api/client returns for such a response.
type Problem struct {
	// Type is "urn:gateway:problem:" and the Reason. It identifies the kind of problem
	// and does not change; it is no address.
	Type      string              `json:"type"`
	Title     string              `json:"title"`
	Status    int                 `json:"status"`
	Detail    string              `json:"detail,omitempty"`
	RequestID string              `json:"request_id"`
	Errors    []failure.Violation `json:"errors,omitempty"`
	// ErrorsOmitted is the number of violations that are not in Errors.
	ErrorsOmitted int `json:"errors_omitted,omitzero"`

	retryAfter time.Duration
}

// Error returns title, status and detail, and a line for each violation.
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

// TypeInProgress is the type of the one conflict that ends by itself: a request with
// the same idempotency key is still being handled.
const TypeInProgress = problemType + string(InProgress)

// located is an error that names a place in the request's body. The place begins the
// detail of the problem.
type located interface {
	error
	Place() string
}

// ProblemOf returns the problem that callers get for an error. An error of an unknown
// type is an internal error without a detail, because its text may be secret.
func ProblemOf(ctx context.Context, err error) *Problem {
	p := &Problem{RequestID: Of(ctx).ID}
	why := p.classify(ctx, err)
	p.Status, p.Title = why.describe()
	p.Type = problemType + string(why)
	var at located
	if errors.As(err, &at) {
		p.Detail = at.Place() + p.Detail
	}
	return p
}

// classify returns the reason, and sets detail, violations and delay.
func (p *Problem) classify(ctx context.Context, err error) Reason {
	var (
		refused *Refusal
		failed  *failure.Error
		tooLong *http.MaxBytesError
		tooMuch *admission.TooLargeError
	)
	switch {
	case errors.As(err, &refused):
		p.Detail, p.retryAfter = refused.Detail, refused.RetryAfter
		return refused.Reason
	case errors.Is(ctx.Err(), context.Canceled):
		// After the refusals, because net/http also cancels the context when a body is slow.
		return CallerGone
	case errors.As(err, &tooLong):
		p.Detail = fmt.Sprintf("the body may have at most %d bytes", tooLong.Limit)
		return TooLarge
	case errors.As(err, &tooMuch):
		p.Detail = tooMuch.Error()
		return TooLarge
	case errors.As(err, &failed):
		why := ofKind(failed.Kind)
		if why != Internal {
			p.Detail, p.retryAfter = failed.Detail, failed.RetryAfter
			p.list(failed)
		}
		return why
	case errors.Is(err, context.DeadlineExceeded):
		p.Detail = "no answer within the time allowed"
		return Deadline
	case errors.Is(err, context.Canceled):
		// The caller has not left, so the gateway cancelled the work.
		p.Detail = "the service is stopping"
		return Unavailable
	}
	return Internal
}

// list copies the violations of an error. If only the first are listed, the detail
// says so.
func (p *Problem) list(e *failure.Error) {
	p.Errors, p.ErrorsOmitted = e.Violations, e.Omitted
	if p.ErrorsOmitted > 0 && len(p.Errors) > 0 {
		p.Detail += fmt.Sprintf("; the first %d are listed, and %d more are not", len(p.Errors), p.ErrorsOmitted)
	}
}

func ofKind(kind failure.Kind) Reason {
	switch kind {
	case failure.Invalid:
		return Invalid
	case failure.NotFound:
		return NotFound
	case failure.Conflict:
		return Conflict
	case failure.Unavailable:
		return Unavailable
	case failure.BadModel:
		return BadModel
	case failure.Deadline:
		return Deadline
	}
	return Internal
}

// retrySeconds returns the value of Retry-After: whole seconds, rounded up, at least one.
func retrySeconds(d time.Duration) int {
	return max(1, int(math.Ceil(d.Seconds())))
}

// SetHeaders sets the headers that some statuses require.
func (p *Problem) SetHeaders(h http.Header, err error) {
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
		var r *Refusal
		if errors.As(err, &r) {
			h.Set("Allow", r.Allow)
		}
	}
}

// Append appends the problem as JSON, without a newline.
func (p *Problem) Append(dst []byte) []byte {
	text, err := json.Marshal(p)
	if err != nil {
		// The one error is text that is not UTF-8.
		text, _ = json.Marshal(p.escaped())
	}
	return append(dst, text...)
}

// escaped returns the problem with each byte that is not UTF-8 as \x and two digits.
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

// Fail answers a request with an error: a problem, or an error for AWS SDKs below
// AWSPrefix. If part of the response has been sent, or the caller has left, it panics
// with http.ErrAbortHandler, so that the server closes the connection.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	ctx := r.Context()
	p := ProblemOf(ctx, err)
	q := Of(ctx)
	q.Failed(p, err)
	switch {
	case q.Begun():
		// A closed connection is the only sign that the response is incomplete.
		panic(http.ErrAbortHandler)
	case p.Status == statusCallerGone:
		// The caller may have closed only its sending side. Returning would send it a
		// 200 without a body.
		panic(http.ErrAbortHandler)
	case strings.HasPrefix(r.URL.Path, AWSPrefix):
		writeAWSError(w, p, err)
		return
	}
	p.SetHeaders(w.Header(), err)
	Write(w, p.Status, "application/problem+json", p.Append(nil))
}
