package failure

import (
	"fmt"
	"strings"
	"time"
)

// Kind classifies a failure by what a caller can do about it. Package api maps
// each kind to one HTTP status.
type Kind int

// The kinds of failure. The zero Kind is an internal fault: its text is for the
// operator's log and is never sent to a caller.
const (
	Internal    Kind = iota
	Invalid          // the input violates the feature schema or a rule; see Violations
	NotFound         // the named thing does not exist
	Conflict         // the state of the named thing does not allow it
	Unavailable      // temporary; try again after RetryAfter
	BadModel         // the model failed or returned an invalid answer
	Deadline         // the time limit was exceeded
)

// Error is a failure with a kind. Detail may be shown to any caller: it contains
// no secret and no value of a personal feature. Err is the cause, for logs.
type Error struct {
	Kind       Kind
	Detail     string
	Violations []Violation
	Omitted    int           // number of further violations that are not listed
	RetryAfter time.Duration // for Unavailable; zero means unknown
	Throttled  bool          // of Unavailable: the endpoint received more calls than it accepts
	General    bool          // of BadModel: no single row caused it, so sending fewer would not help
	Refused    bool          // of BadModel: the model works and refused these rows
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

// Errorf returns an Error of a kind with a detail that may be shown to callers.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}
