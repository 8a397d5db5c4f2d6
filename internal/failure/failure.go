package failure

import (
	"fmt"
	"strings"
	"time"
)

// Kind says what went wrong in terms a caller can act on. Package api maps
// each kind to one HTTP status; nothing else knows statuses.
type Kind int

// The kinds of failure. The zero Kind is an internal fault: its text is for
// the operator's log and never reaches a caller.
const (
	Internal    Kind = iota
	Invalid          // the input breaks the feature schema or a rule; Violations say where
	NotFound         // the thing named does not exist
	Conflict         // the state of the thing named forbids it
	Unavailable      // not now; try again after RetryAfter
	BadModel         // the model failed or answered nonsense
	Deadline         // the time allowed ran out
)

// Error is a failure with a kind. Detail is safe to show to any caller: it
// holds no secret and no value of a personal feature. Err is the cause, for logs.
type Error struct {
	Kind       Kind
	Detail     string
	Violations []Violation
	Omitted    int           // further violations that are not listed
	RetryAfter time.Duration // for Unavailable; zero means unknown
	Throttled  bool          // of Unavailable: the endpoint was sent more calls than it takes
	General    bool          // of BadModel: no row is to blame, so asking about fewer would not help
	Refused    bool          // of BadModel: the model works, and refused these rows
	Err        error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Detail)
	for i, v := range e.Violations {
		if i == 3 {
			fmt.Fprintf(&b, "; and %d more", len(e.Violations)+e.Omitted-i)
			break
		}
		fmt.Fprintf(&b, "; %s: %s", v.Field, v.Detail)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a kind with a detail fit for callers.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}
