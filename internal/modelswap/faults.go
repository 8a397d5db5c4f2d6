package modelswap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gateway/internal/failure"
	"gateway/internal/learn"
)

// Class sorts the errors of steps by what helps against them.
type Class string

// The classes of errors.
const (
	Throttled  Class = "throttled"   // too many calls; wait
	NoCapacity Class = "no_capacity" // no machine is to be had; wait longer
	Transient  Class = "transient"   // a time-out, a broken connection, a full disk; try again
	Input      Class = "input"       // the data, a setting or an override is wrong; trying again is of no use
	Unfit      Class = "unfit"       // the model does not do what it should
	Bug        Class = "bug"         // the gateway's own fault; trying again is of no use
)

// Fault is an error whose class a back end knows.
type Fault struct {
	Class Class
	Err   error
}

func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// classOf returns the class of an error of a step. An error of no known class
// counts as transient: most faults of machines pass.
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

// policy is how often, and with what pauses, a step is tried again.
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

// pause returns how long to wait before try number n, counted from 1, or
// false where the class is not tried again or no more often.
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

// limits are how long a step may take, from its start to its end, tries and
// waiting included. Training has its own limit on top of that in the trainer.
var limits = map[StepName]time.Duration{
	Export:   6 * time.Hour,
	Convert:  6 * time.Hour,
	Register: 30 * time.Minute,
	Evaluate: 2 * time.Hour,
	Deploy:   2 * time.Hour,
	Verify:   30 * time.Minute,
}

// slack is what the steps around a training job may take beyond its own limit:
// waiting for a machine, mostly.
const slack = 2 * time.Hour

// Causes for which the work on a renewal ends early.
var (
	errLost      = errors.New("another process works on the renewal now")
	errCancelled = errors.New("the renewal was cancelled")
)

// guarded runs do and turns a panic into an error of class Bug, so that a
// renewal with a bug in it fails by itself instead of taking the gateway down
// again at every restart.
func guarded(ctx context.Context, do func(context.Context) (time.Duration, error)) (wait time.Duration, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &Fault{Bug, fmt.Errorf("panic: %v", r)}
		}
	}()
	return do(ctx)
}
