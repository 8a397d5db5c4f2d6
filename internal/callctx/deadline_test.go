package callctx_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gateway/internal/callctx"
)

// TestDeadlineIsAContextLikeAnyOther compares a Deadline with a context of package
// context, step by step.
func TestDeadlineIsAContextLikeAnyOther(t *testing.T) {
	for name, end := range map[string]func(leave, cancel context.CancelFunc){
		"the caller leaves":    func(leave, _ context.CancelFunc) { leave() },
		"it is cancelled":      func(_, cancel context.CancelFunc) { cancel() },
		"the deadline passes":  func(context.CancelFunc, context.CancelFunc) { time.Sleep(2 * time.Second) },
		"cancelled, then late": func(_, cancel context.CancelFunc) { cancel(); time.Sleep(2 * time.Second) },
	} {
		for _, asked := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				parent, leave := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
				defer leave()
				at := time.Now().Add(time.Second)
				want, cancelWant := context.WithDeadline(parent, at)
				defer cancelWant()
				got := new(callctx.Deadline)
				got.Start(parent, at)
				if asked {
					_ = got.Done()
				}
				if until, ok := got.Deadline(); !ok || !until.Equal(at) || got.Err() != nil || got.Value(key{}) != "value" {
					t.Errorf("%s: deadline %v, error %v, value %v", name, until, got.Err(), got.Value(key{}))
				}
				if got.HasTimer() != asked {
					t.Errorf("%s: it has a timer: %t; Done was called: %t", name, got.HasTimer(), asked)
				}
				end(leave, func() { cancelWant(); got.Cancel(); got.Cancel() })
				synctest.Wait()
				if got.Err() == nil || !errors.Is(got.Err(), want.Err()) {
					t.Errorf("%s: error %v, want %v", name, got.Err(), want.Err())
				}
				select {
				case <-got.Done():
				default:
					t.Errorf("%s: Done is not closed", name)
				}
				time.Sleep(2 * time.Second)
				leave() // does not change the error
				if !errors.Is(got.Err(), want.Err()) {
					t.Errorf("%s: later the error is %v, before it was %v", name, got.Err(), want.Err())
				}
			})
		}
	}
}

type key struct{}

func TestADeadlineIsNotLaterThanItsParents(t *testing.T) {
	early := time.Now().Add(time.Minute)
	parent, cancel := context.WithDeadline(t.Context(), early)
	defer cancel()
	d := new(callctx.Deadline)
	d.Start(parent, early.Add(time.Hour))
	if at, _ := d.Deadline(); !at.Equal(early) {
		t.Errorf("the deadline is %v, want %v", at, early)
	}
}

// Package context finds the channel of a Deadline, and needs no goroutine for a
// context that is made from it.
func TestAContextMadeFromADeadlineNeedsNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, leave := context.WithCancel(t.Context())
		d := new(callctx.Deadline)
		d.Start(parent, time.Now().Add(time.Hour))
		child, cancel := context.WithCancel(d)
		defer cancel()
		leave()
		if child.Err() == nil { // a goroutine would not have run yet
			t.Error("the child did not end together with its parent")
		}
	})
}

func TestSplit(t *testing.T) {
	parent, leave := context.WithCancel(t.Context())
	defer leave()
	d := new(callctx.Deadline)
	at := time.Now().Add(time.Minute)
	d.Start(parent, at)
	if caller, until := callctx.Split(d); caller != parent || !until.Equal(at) {
		t.Errorf("of a Deadline: %v and %v", caller, until)
	}
	timed, cancel := context.WithDeadline(parent, at)
	defer cancel()
	if caller, until := callctx.Split(timed); caller != timed || !until.IsZero() {
		t.Errorf("of another context: %v and %v", caller, until)
	}
}
