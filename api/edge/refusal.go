package edge

import (
	"fmt"
	"net/http"
	"time"
)

// Reason is what is wrong with a request, or why it cannot be answered. It is the
// last word of a problem's type.
type Reason string

// The reasons, by status.
const (
	Malformed        Reason = "malformed"
	Unauthenticated  Reason = "unauthenticated"
	Forbidden        Reason = "forbidden"
	NotFound         Reason = "not-found"
	MethodNotAllowed Reason = "method-not-allowed"
	NotAcceptable    Reason = "not-acceptable"
	SlowBody         Reason = "slow-body"
	Conflict         Reason = "conflict"
	KeyReused        Reason = "idempotency-key-reused"
	InProgress       Reason = "in-progress" // a request with the same idempotency key is being handled
	TooLarge         Reason = "too-large"
	UnsupportedMedia Reason = "unsupported-media-type"
	Invalid          Reason = "invalid"
	TooManyRequests  Reason = "too-many-requests"
	CallerGone       Reason = "caller-gone" // the caller left; for the log only
	Internal         Reason = "internal"
	BadModel         Reason = "bad-model"
	Unavailable      Reason = "unavailable"
	Deadline         Reason = "deadline"
)

// statusCallerGone is the status that proxies log for a caller who left. It is never
// sent.
const statusCallerGone = 499

// describe returns the status and title of a reason. It is the only table of statuses.
func (r Reason) describe() (status int, title string) {
	switch r {
	case Malformed:
		return http.StatusBadRequest, "Malformed"
	case Unauthenticated:
		return http.StatusUnauthorized, "Unauthenticated"
	case Forbidden:
		return http.StatusForbidden, "Forbidden"
	case NotFound:
		return http.StatusNotFound, "Not found"
	case MethodNotAllowed:
		return http.StatusMethodNotAllowed, "Method not allowed"
	case NotAcceptable:
		return http.StatusNotAcceptable, "Not acceptable"
	case SlowBody:
		return http.StatusRequestTimeout, "Request too slow"
	case Conflict:
		return http.StatusConflict, "Conflict"
	case KeyReused:
		return http.StatusConflict, "Idempotency key reused"
	case InProgress:
		return http.StatusConflict, "In progress"
	case TooLarge:
		return http.StatusRequestEntityTooLarge, "Too large"
	case UnsupportedMedia:
		return http.StatusUnsupportedMediaType, "Unsupported media type"
	case Invalid:
		return http.StatusUnprocessableEntity, "Invalid"
	case TooManyRequests:
		return http.StatusTooManyRequests, "Too many requests"
	case CallerGone:
		return statusCallerGone, "Caller gone"
	case BadModel:
		return http.StatusBadGateway, "The model failed"
	case Unavailable:
		return http.StatusServiceUnavailable, "Unavailable"
	case Deadline:
		return http.StatusGatewayTimeout, "Deadline exceeded"
	}
	return http.StatusInternalServerError, "Internal error"
}

// Refusal is an error of HTTP itself, such as a missing header. Errors of the domain
// are a failure.Error.
type Refusal struct {
	Reason     Reason
	Detail     string        // for the caller
	Allow      string        // of MethodNotAllowed: the methods that are allowed
	RetryAfter time.Duration // of TooManyRequests, Unavailable and InProgress
	Err        error         // the cause, for the log
}

func (e *Refusal) Error() string {
	if e.Err != nil {
		return e.Detail + ": " + e.Err.Error()
	}
	return e.Detail
}

// Unwrap returns the cause.
func (e *Refusal) Unwrap() error { return e.Err }

// Refuse returns a Refusal with a reason and a detail for the caller.
func Refuse(why Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: why, Detail: fmt.Sprintf(format, args...)}
}
