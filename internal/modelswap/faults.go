package modelswap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gateway/internal/failure"
	"gateway/internal/learn"
)

// Class groups the errors of steps by what resolves them.
type Class string

// The classes of errors.
const (
	Throttled  Class = "throttled"   // too many calls; wait
	NoCapacity Class = "no_capacity" // no capacity; wait longer
	Transient  Class = "transient"   // a timeout, a broken connection, a full disk; try again
	Input      Class = "input"       // the data, a setting or an override is wrong; a retry does not help
	Unfit      Class = "unfit"       // the model does not work as required
	Bug        Class = "bug"         // a fault of the gateway; a retry does not help
)

// Fault is an error whose class the back end has determined.
type Fault struct {
	Class Class
	Err   error
}

func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// classOf returns the class of an error of a step. An unknown error counts as
// transient, because most infrastructure faults pass.
func classOf(err error) Class {
	var fault *Fault
	var known *failure.Error
	switch {
	case errors.As(err, &fault):
		return fault.Class
	case errors.Is(err, learn.ErrSchema), errors.Is(err, learn.ErrInput):
		return Input
	case errors.As(err, &known):
		switch known.Kind {
		case failure.Unavailable, failure.Deadline, failure.BadModel:
			return Transient
		case failure.Internal:
			return Bug
		}
		return Input
	}
	return Transient
}

// policy says how often a step is tried again, and after which pauses.
type policy struct {
	tries int           // after the first
	first time.Duration // pause before the first of them; each next one is twice as long
	most  time.Duration // longest pause
}

var policies = map[Class]policy{
	Throttled:  {tries: 20, first: time.Second, most: time.Minute},
	NoCapacity: {tries: 12, first: 30 * time.Second, most: 10 * time.Minute},
	Transient:  {tries: 4, first: 500 * time.Millisecond, most: 30 * time.Second},
}

// pause returns how long to wait before try number n, counted from 1. It returns
// false where the class is not tried again or the tries are used up.
func (c Class) pause(n int) (time.Duration, bool) {
	p, ok := policies[c]
	if !ok || n > p.tries {
		return 0, false
	}
	wait := p.first
	for range n - 1 {
		wait = min(2*wait, p.most)
	}
	return wait, true
}

// limits are the maximum times of the steps, from start to end, including tries
// and waiting. Training has its own limit in addition, in the trainer.
var limits = map[StepName]time.Duration{
	Export:   6 * time.Hour,
	Convert:  6 * time.Hour,
	Register: 30 * time.Minute,
	Evaluate: 2 * time.Hour,
	Deploy:   2 * time.Hour,
	Verify:   30 * time.Minute,
}

// slack is what the train step may take beyond the training job's own limit:
// mostly waiting for capacity.
const slack = 2 * time.Hour

// Causes for which the work on a renewal stops early.
var (
	errLost      = errors.New("another process claimed the renewal")
	errCancelled = errors.New("the renewal was cancelled")
)

// guarded runs do and turns a panic into an error of class Bug, so that the
// renewal fails and the gateway does not crash at every restart.
func guarded(ctx context.Context, do func(context.Context) (time.Duration, error)) (wait time.Duration, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &Fault{Bug, fmt.Errorf("panic: %v", r)}
		}
	}()
	return do(ctx)
}
