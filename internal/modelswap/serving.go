package modelswap

import (
	"errors"
	"fmt"
	"time"

	"gateway/internal/failure"
)

// Serving identifies the serving model.
type Serving struct {
	Model    string // empty: none
	Version  int64  // microseconds since 1970 of the last change, increasing with each; zero: never recorded
	Changing bool   // a change is in progress
}

// Since returns when the model began to serve; the present where that was not
// recorded.
func (s Serving) Since() time.Time {
	if s.Version == 0 {
		return time.Now().UTC().Truncate(time.Microsecond)
	}
	return time.UnixMicro(s.Version).UTC()
}

// Fence identifies the claim under which a renewal's step writes: the renewal,
// and its revision when it was claimed. A later claim has a higher revision. The
// zero Fence is that of an operator's request.
type Fence struct {
	Renewal  string
	Revision int64
}

// Change asks for another model to serve. It states the situation that it was
// decided in, because a process may be suspended between deciding and asking.
type Change struct {
	Model string  // the model to deploy
	Over  Serving // what served when this was decided; Changing is ignored
	By    Fence
	// After is a Version that the new one must exceed: earlier models are recorded
	// as serving from there on, and a clock may have been set back.
	After int64
}

// ErrChanged means that another model serves than a Change was decided for.
var ErrChanged = errors.New("the serving model was changed by another gateway")

// Check returns nil if the change is allowed, given that now serves and last is
// the fence of the newest change or hold. It is allowed if the same renewal made
// that change, under this claim or an earlier one, or if nothing has changed
// since c.Over was read. Check returns ErrStale if a later claim of the renewal
// made it, otherwise a *failure.Error of kind Conflict that wraps ErrChanged.
func (c Change) Check(now Serving, last Fence) error {
	if c.By.Renewal != "" && c.By.Renewal == last.Renewal {
		if last.Revision > c.By.Revision {
			return ErrStale
		}
		return nil
	}
	// A renewal that an older gateway evaluated has recorded the model only.
	same := now.Version == c.Over.Version || c.Over.Version == 0 && c.Over.Model != ""
	if same && (now.Model == c.Over.Model || now.Model == c.Model) {
		return nil
	}
	return changed(c.Over.Model, now.Model)
}

// NextVersion returns the version of a change made at a time, after version last.
func (c Change) NextVersion(now time.Time, last int64) int64 {
	return max(now.UnixMicro(), last+1, c.After+1)
}

func changed(from, to string) error {
	detail := fmt.Sprintf("another gateway changed the serving model from %s to %s meanwhile", orNone(from), orNone(to))
	if from == to {
		detail = fmt.Sprintf("another gateway changed the serving model meanwhile; %s serves again", orNone(to))
	}
	return &changedError{failure.Error{Kind: failure.Conflict, Detail: detail}}
}

// changedError matches ErrChanged and is a *failure.Error.
type changedError struct{ problem failure.Error }

func (e *changedError) Error() string { return e.problem.Error() }

// Is implements the interface that errors.Is uses.
func (e *changedError) Is(target error) bool { return target == ErrChanged }

// Unwrap returns the *failure.Error.
func (e *changedError) Unwrap() error { return &e.problem }

func orNone(model string) string {
	if model == "" {
		return "none"
	}
	return model
}
