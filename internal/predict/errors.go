package predict

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

// Codes of violations. They are part of the public interface.
const (
	CodeMissing   = "missing"       // a feature without a default is absent
	CodeUnknown   = "unknown_field" // no such feature or member
	CodeType      = "type"          // not the JSON type the schema asks for
	CodeInteger   = "not_integer"   // a number with a fraction where an integer is due
	CodeRange     = "out_of_range"  // below min, above max, or beyond what a number can hold
	CodeCategory  = "unknown_category"
	CodeDuplicate = "duplicate" // the same feature twice, by its name and an alias
	CodeFormat    = "format"    // right type, wrong form
)

// Violation is one way in which an input breaks the schema. Field is a JSON
// Pointer where the field is nested, else its bare name. Detail repeats a
// value only where the feature is not personal.
type Violation struct {
	Field  string `json:"field"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// MaxViolations is how many violations of one body are listed. The others are
// counted: a body of a few kilobytes can break the schema ten thousand times.
const MaxViolations = 100

// Violations collects the violations of a body: it lists the first
// MaxViolations and counts the others.
type Violations struct {
	Listed  []Violation
	Omitted int
	taken   int // violations of the same body that Take has returned
}

// Full reports whether no further violation will be listed, so that it need not
// be worded.
func (v *Violations) Full() bool { return len(v.Listed)+v.taken >= MaxViolations }

// Count returns how many violations there are.
func (v *Violations) Count() int { return len(v.Listed) + v.Omitted }

// Add adds a violation.
func (v *Violations) Add(one Violation) {
	if v.Full() {
		v.Omitted++
		return
	}
	v.Listed = append(v.Listed, one)
}

// Take returns the violations and empties v. What it returned counts against
// MaxViolations of the body.
func (v *Violations) Take() Violations {
	out := *v
	*v = Violations{taken: v.taken + len(v.Listed)}
	return out
}

// PutBack puts violations that Take returned before those that came since.
func (v *Violations) PutBack(before Violations) {
	v.Listed = append(before.Listed, v.Listed...)
	v.Omitted += before.Omitted
	v.taken -= len(before.Listed)
}
