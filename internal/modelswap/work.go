package modelswap

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gateway/internal/outage"
)

// Bounds of the lease. A process that dies holds its renewal for at most
// leaseTime, and another one looks for work every idle, so a renewal continues
// within six seconds.
const (
	leaseTime = 5 * time.Second
	idle      = time.Second
	// holdTime is the longest wait during which the lease is kept. For a longer
	// one the renewal is released until it is due.
	holdTime = 2 * time.Second
	// Stranded is how long no engine must have worked on a renewal of another
	// schema before any engine may end it: no gateway of its schema runs any more.
	Stranded = time.Minute
	// saveTime is the maximum time of a save.
	saveTime = 10 * time.Second
)

// Run works on renewals until ctx ends. It releases an unfinished renewal, which
// continues with the next Run in this process or another.
func (e *Engine) Run(ctx context.Context) {
	var clock sync.WaitGroup
	defer clock.Wait()
	clock.Go(func() { e.keepTime(ctx) })
	var records outage.Outage
	for ctx.Err() == nil {
		r, err := e.ports.Renewals.ClaimRenewal(ctx, e.opts.Owner, e.opts.Schema.Fingerprint(), leaseTime)
		if err == nil && r != nil {
			err = e.work(ctx, r)
		}
		if ctx.Err() == nil {
			records.Record(e.log, err, "cannot read or save the records of renewals; trying again", "the records of renewals can be read and saved again")
		}
		if r != nil && err == nil {
			continue // there may be more to do
		}
		select {
		case <-ctx.Done():
		case <-e.wake:
		case <-time.After(idle):
		}
	}
}

// Once starts the renewals that are due and works on renewals until none can go on
// without waiting, or ctx ends. A renewal that must wait is released; a later call goes on with
// it. It is for a program that sets the clock of the engine, or does not run all the time; a
// service calls Run. It must not be called while Run or Once runs.
func (e *Engine) Once(ctx context.Context) error {
	if !e.opts.ManualOnly {
		if err := e.setLine(ctx); err != nil {
			return err
		}
		if err := errors.Join(e.clock(ctx), e.outcomes(ctx), e.alarm(ctx)); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		r, err := e.ports.Renewals.ClaimRenewal(ctx, e.opts.Owner, e.opts.Schema.Fingerprint(), leaseTime)
		if r == nil || err != nil {
			return err
		}
		if err := e.work(ctx, r); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// work runs steps of a claimed renewal until it has ended, must wait for long, is
// claimed by another gateway, or ctx ends. An error means that the store failed;
// the renewal is then in the state that was saved last.
func (e *Engine) work(ctx context.Context, r *Renewal) error {
	r.Claim = r.Revision
	if e.foreign(r) {
		return e.lost(r, e.strand(ctx, r))
	}
	held, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if r.Cancelling {
		stop(errCancelled)
	} else {
		go e.heartbeat(held, stop, r.ID)
	}
	for {
		wait, err := e.advance(held, r)
		switch cause := context.Cause(held); {
		case err == nil && r.Status.Final():
			// Before saving, because the lease ends with the renewal and a late
			// heartbeat would report it as lost.
			e.tidy(ctx)
			return e.measureState(ctx)
		case errors.Is(err, ErrStale), errors.Is(cause, errLost):
			return e.lost(r, ErrStale)
		case err != nil && held.Err() == nil:
			return err
		case errors.Is(cause, errCancelled) && !r.Status.Final():
			return e.lost(r, e.cancelled(context.WithoutCancel(ctx), r))
		case held.Err() != nil && !r.Status.Final():
			r.Released = true // The process stops: another one may continue at once.
			return e.lost(r, e.ports.Renewals.UpdateRenewal(context.WithoutCancel(ctx), r))
		case r.Released:
			return nil
		}
		select {
		case <-held.Done():
		case <-time.After(wait):
		}
	}
}

// foreign reports whether a renewal was started for another schema.
func (e *Engine) foreign(r *Renewal) bool {
	return r.State.Schema != "" && r.State.Schema != e.opts.Schema.Fingerprint()
}

// strand ends a renewal of another schema, which would block new ones.
func (e *Engine) strand(ctx context.Context, r *Renewal) error {
	step := r.Current()
	if step.StartedAt == nil {
		now := e.opts.Now().UTC()
		step.StartedAt = &now
		step.Attempt++
	}
	e.settle(r, step, &Fault{Input, fmt.Errorf("the renewal was started for schema %.12s, and no gateway of that schema has worked on it for %s; this gateway has schema %.12s: start a new renewal",
		r.State.Schema, Stranded, e.opts.Schema.Fingerprint())})
	return e.save(ctx, r, 0)
}

// lost logs that another process claimed the renewal, if err says so, and returns
// any other error.
func (e *Engine) lost(r *Renewal, err error) error {
	if !errors.Is(err, ErrStale) {
		return err
	}
	e.log.Warn("another process claimed the renewal; this one stops working on it", "renewal", r.ID)
	return nil
}

// heartbeat extends the lease until ctx ends. It stops the work when the lease is
// lost or cancellation was requested. If the store does not answer, the work
// continues: the next save shows who holds the renewal.
func (e *Engine) heartbeat(ctx context.Context, stop context.CancelCauseFunc, id string) {
	tick := time.NewTicker(min(leaseTime/3, e.opts.Heartbeat))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		cancel, err := e.ports.Renewals.ExtendLease(ctx, id, e.opts.Owner, leaseTime)
		switch {
		case errors.Is(err, ErrStale):
			stop(errLost)
			return
		case err == nil && cancel:
			stop(errCancelled)
			return
		}
	}
}

// advance runs the next step and saves the result. It returns how long to wait
// before the next call.
func (e *Engine) advance(ctx context.Context, r *Renewal) (wait time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	step := r.Current()
	e.metrics.showStep(step.Name)
	if step.Status == StepPending {
		now := e.opts.Now().UTC()
		r.Status, step.Status, step.StartedAt, step.FinishedAt, step.Error = Running, StepRunning, &now, nil, nil
		step.Attempt++
		if err := e.save(ctx, r, 0); err != nil {
			return 0, err
		}
		e.log.Info("step started", "renewal", r.ID, "step", step.Name, "attempt", step.Attempt)
	}
	limit := e.limit(r, step.Name)
	deadline, cancel := context.WithTimeoutCause(ctx, step.StartedAt.Add(limit).Sub(e.opts.Now()), errTooLong)
	defer cancel()
	x := &stepRun{Engine: e, r: r, step: step}
	wait, err = guarded(deadline, x.do)
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err() // interrupted, not failed: the step runs again with the next Run
	case errors.Is(err, ErrStale):
		return 0, err
	case err != nil && errors.Is(context.Cause(deadline), errTooLong):
		err = &Fault{Input, fmt.Errorf("the step exceeded its limit of %s: %w", limit, err)}
	case err == nil && wait > 0:
		return wait, e.save(ctx, r, wait)
	case errors.As(err, new(*rejection)):
		// It is final: the same model would be rejected again.
	case filesMissing(err) && e.redo(r, step, err):
		x.stopConversion(ctx)
		return 0, e.save(ctx, r, 0)
	case err != nil:
		if wait, again := x.tryAgain(err); again {
			return wait, e.save(ctx, r, wait)
		}
	}
	if err != nil {
		x.stopConversion(ctx)
	}
	e.settle(r, step, err)
	return 0, e.save(ctx, r, 0)
}

var errTooLong = errors.New("deadline of the step")

func (e *Engine) limit(r *Renewal, step StepName) time.Duration {
	if step == Train {
		return e.maxRuntime(r) + slack
	}
	return limits[step]
}

// save saves the renewal, and releases it if the wait is long.
func (e *Engine) save(ctx context.Context, r *Renewal, wait time.Duration) error {
	r.Released = wait > holdTime
	r.WakeAt = time.Time{}
	if r.Released {
		r.WakeAt = e.opts.Now().UTC().Add(wait)
	}
	// The result is saved even if the work is being stopped.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	err := e.ports.Renewals.UpdateRenewal(ctx, r)
	if err == nil && r.Status.Final() && e.opts.Ended != nil {
		e.opts.Ended(r)
	}
	return err
}
