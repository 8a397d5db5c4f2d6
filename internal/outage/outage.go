// Package outage logs a failure that lasts once when it begins and once when it
// ends, however many attempts fail in between.
package outage

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// Outage records whether the attempts at one thing fail. The zero value is ready
// to use: no attempt has failed. An Outage must not be copied, and is safe for
// concurrent use.
//
// The message for its begin says what failed, of what, and what happens next.
type Outage struct {
	current atomic.Pointer[failure] // nil: the last attempt succeeded
}

// failure is never changed once it is stored.
type failure struct {
	since time.Time
	err   error // of the last attempt
}

// LogFunc logs a message with attributes: a method of [slog.Logger] such as
// Error, which sets the level.
type LogFunc func(msg string, args ...any)

// Failed records a failed attempt. If the attempt before it did not fail, an
// outage begins: Failed logs msg with args and the attribute "error", and returns
// true.
func (o *Outage) Failed(log LogFunc, err error, msg string, args ...any) (begun bool) {
	next := &failure{since: time.Now(), err: err}
	for {
		last := o.current.Load()
		if last != nil {
			next.since = last.since
		}
		if !o.current.CompareAndSwap(last, next) {
			continue
		}
		if last == nil {
			log(msg, append(args[:len(args):len(args)], "error", err)...)
		}
		return last == nil
	}
}

// Succeeded records an attempt that did not fail. If the attempt before it failed,
// an outage ends: Succeeded logs msg with args and the attribute "failed_for", how
// long the outage lasted, and returns true.
func (o *Outage) Succeeded(log LogFunc, msg string, args ...any) (ended bool) {
	if o.current.Load() == nil {
		return false // as nearly always: costs no write
	}
	last := o.current.Swap(nil)
	if last == nil {
		return false // another goroutine has ended it
	}
	log(msg, append(args[:len(args):len(args)], "failed_for", time.Since(last.since).Round(time.Millisecond))...)
	return true
}

// Record records the result of an attempt, with Failed or Succeeded. It logs
// begins at level Error and ends at level Info.
func (o *Outage) Record(log *slog.Logger, err error, begins, ends string) {
	if err != nil {
		o.Failed(log.Error, err, begins)
		return
	}
	o.Succeeded(log.Info, ends)
}

// Lasts reports whether the last attempt failed.
func (o *Outage) Lasts() bool { return o.current.Load() != nil }

// Err returns the error of the last attempt, nil if it succeeded.
func (o *Outage) Err() error {
	if f := o.current.Load(); f != nil {
		return f.err
	}
	return nil
}

// Since returns when the outage began, in UTC to the millisecond. It is the zero
// time if the last attempt succeeded.
func (o *Outage) Since() time.Time {
	if f := o.current.Load(); f != nil {
		return f.since.UTC().Truncate(time.Millisecond)
	}
	return time.Time{}
}
