package modelswap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"gateway/internal/predict"
)

// Bounds of the lease. A process that dies holds its renewal for at most
// leaseTime; another one looks every idle. So a renewal goes on within six
// seconds.
const (
	leaseTime = 5 * time.Second
	idle      = time.Second
	// holdTime is the longest wait through which the lease is kept; for a
	// longer one the renewal is let go until it is due.
	holdTime = 2 * time.Second
	// saveTime bounds a save.
	saveTime = 10 * time.Second
)

// Run works on renewals until ctx ends. A renewal that is unfinished then is
// let go, and goes on with the next Run, in this process or another.
func (e *Engine) Run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		r, err := e.ports.Renewals.ClaimRenewal(ctx, e.opts.Owner, leaseTime)
		if err == nil && r != nil {
			err = e.work(ctx, r)
		}
		// A lasting failure is logged when it begins and when it ends.
		if err != nil && ctx.Err() == nil && !failing {
			e.log.Error("the renewal's record cannot be read or saved", "error", err)
		}
		if err == nil && failing {
			e.log.Info("the renewal's record can be read and saved again")
		}
		failing = err != nil
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

// work runs steps of a claimed renewal until it has ended, has to wait for
// long, is claimed by somebody else, or ctx ends. An error means that the
// store failed; the renewal is then as it was saved last.
func (e *Engine) work(ctx context.Context, r *Renewal) error {
	held, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if r.Cancelling {
		stop(errCancelled)
	} else {
		go e.hold(held, stop, r.ID)
	}
	for {
		wait, err := e.advance(held, r)
		switch cause := context.Cause(held); {
		case errors.Is(err, ErrStale), errors.Is(cause, errLost):
			e.log.Warn("somebody else works on the renewal now", "renewal", r.ID)
			return nil
		case err != nil && held.Err() == nil:
			return err
		case errors.Is(cause, errCancelled) && !r.Status.Final():
			return e.cancelled(context.WithoutCancel(ctx), r)
		case held.Err() != nil && !r.Status.Final():
			r.Released = true // the process stops: let another one go on at once
			return e.ports.Renewals.UpdateRenewal(context.WithoutCancel(ctx), r)
		case r.Status.Final():
			e.tidy(ctx)
			return nil
		case r.Released:
			return nil
		}
		select {
		case <-held.Done():
		case <-time.After(wait):
		}
	}
}

// hold extends the lease until ctx ends, and stops the work when the lease is
// lost or the renewal is to be cancelled. While the store does not answer, the
// work goes on: saving will show who holds the renewal.
func (e *Engine) hold(ctx context.Context, stop context.CancelCauseFunc, id string) {
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

// advance runs the step that is due and saves what came of it. It returns how
// long to wait before the next call.
func (e *Engine) advance(ctx context.Context, r *Renewal) (wait time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	step := r.Current()
	if step.Status == StepPending {
		now := time.Now().UTC()
		r.Status, step.Status, step.StartedAt, step.FinishedAt, step.Error = Running, StepRunning, &now, nil, nil
		step.Attempt++
		if err := e.save(ctx, r, 0); err != nil {
			return 0, err
		}
		e.log.Info("step started", "renewal", r.ID, "step", step.Name, "attempt", step.Attempt)
	}
	limit := e.limit(r, step.Name)
	deadline, cancel := context.WithDeadlineCause(ctx, step.StartedAt.Add(limit), errTooLong)
	defer cancel()
	x := &run{Engine: e, r: r, step: step}
	wait, err = guarded(deadline, x.do)
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err() // stopped, not failed: the step runs again with the next Run
	case err != nil && errors.Is(context.Cause(deadline), errTooLong):
		err = &Fault{Input, fmt.Errorf("the step took longer than the %s it may: %w", limit, err)}
	case err == nil && wait > 0:
		return wait, e.save(ctx, r, wait)
	case filesMissing(step, err) && e.redo(r, step, err):
		return 0, e.save(ctx, r, 0)
	case err != nil:
		if wait, again := x.tryAgain(err); again {
			return wait, e.save(ctx, r, wait)
		}
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

// save saves the renewal; for a wait that is long it is let go until then.
func (e *Engine) save(ctx context.Context, r *Renewal, wait time.Duration) error {
	r.Released = wait > holdTime
	r.WakeAt = time.Time{}
	if r.Released {
		r.WakeAt = time.Now().UTC().Add(wait)
	}
	// What has been done is saved even if the work is being stopped.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	return e.ports.Renewals.UpdateRenewal(ctx, r)
}

// tryAgain notes a failed try in the step, and tells how long to wait before
// the next one, if there is to be one.
func (x *run) tryAgain(err error) (wait time.Duration, again bool) {
	class := classOf(err)
	tries, _ := x.step.Detail["retries"].(float64) // as it is read from the row
	if n, ok := x.step.Detail["retries"].(int); ok {
		tries = float64(n)
	}
	wait, again = class.pause(int(tries) + 1)
	x.note("class", class)
	x.note("last_error", publicText(err))
	if !again {
		return 0, false
	}
	x.note("retries", int(tries)+1)
	wait = min(wait, x.opts.MaxPause)
	x.log.Warn("step is tried again", "renewal", x.r.ID, "step", x.step.Name, "class", class, "in", wait, "error", err)
	return wait, true
}

// filesMissing reports whether a step failed for want of what an earlier one wrote.
func filesMissing(step *Step, err error) bool {
	var known *predict.Error
	return errors.Is(err, fs.ErrNotExist) ||
		(step.Name == Convert && errors.As(err, &known) && known.Kind == predict.NotFound)
}

// mostRedone is how often a renewal may begin again because files are missing.
const mostRedone = 3

// redo begins again from the step that makes the intermediate files, where
// they are missing: they are on another machine, or were deleted.
func (e *Engine) redo(r *Renewal, step *Step, err error) bool {
	made := r.Step(Export)
	if step.Name == Export || r.State.Redone >= mostRedone {
		return false
	}
	r.State.Redone++
	r.reset(Export)
	made.Detail["redone"] = fmt.Sprintf("step %s found no files: %s", step.Name, publicText(err))
	e.log.Warn("files of the renewal are missing: it begins again from export", "renewal", r.ID, "step", step.Name, "error", err)
	return true
}

// reset makes a step and those after it pending again.
func (r *Renewal) reset(from StepName) {
	at := slices.Index(Order(), from)
	for i := range r.Steps {
		if i >= at {
			s := &r.Steps[i]
			s.Status, s.StartedAt, s.FinishedAt, s.Error, s.Detail = StepPending, nil, nil, nil, map[string]any{}
		}
	}
}

// cancelled ends a renewal that is to be cancelled: work elsewhere is stopped,
// and what served before it serves on.
func (e *Engine) cancelled(ctx context.Context, r *Renewal) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	now := time.Now().UTC()
	step := r.Current()
	if step.Name == Train && step.Status == StepRunning {
		if err := e.ports.Trainer.StopTraining(ctx, jobName(r, step)); err != nil {
			e.log.Error("the training job could not be stopped", "renewal", r.ID, "error", err)
			step.Detail["not_stopped"] = publicText(err)
		}
	}
	if step.Name == Deploy || step.Name == Verify {
		if err := e.putBack(ctx, r); err != nil {
			return err
		}
	}
	for i := range r.Steps {
		if s := &r.Steps[i]; s.Status == StepRunning || s.Status == StepPending {
			s.Status = StepCancelled
			if s.StartedAt != nil {
				s.FinishedAt = &now
			}
		}
	}
	r.Status, r.Error, r.FinishedAt = Cancelled, "", &now
	e.metrics.renewals.WithLabelValues(string(Cancelled)).Inc()
	e.log.Info("renewal cancelled", "renewal", r.ID, "step", step.Name)
	return e.save(ctx, r, 0)
}

// putBack makes the champion serve again where the challenger does already.
func (e *Engine) putBack(ctx context.Context, r *Renewal) error {
	serving, _, err := e.ports.Deployer.Serving(ctx)
	if err != nil || serving != r.State.Model || r.State.Champion == "" {
		return err
	}
	return e.ports.Deployer.DeployModel(ctx, r.State.Champion)
}

// settle writes the end of a step into the renewal, and its end where it is
// the last one, failed, or the challenger lost.
func (e *Engine) settle(r *Renewal, step *Step, err error) {
	now := time.Now().UTC()
	step.FinishedAt = &now
	e.metrics.stepSeconds.WithLabelValues(string(step.Name)).Observe(now.Sub(*step.StartedAt).Seconds())
	var rejected *rejection
	switch {
	case err == nil:
		step.Status = StepSucceeded
		e.log.Info("step succeeded", "renewal", r.ID, "step", step.Name, "seconds", now.Sub(*step.StartedAt).Seconds())
		if r.Current() == nil {
			r.Status = Succeeded
		}
	case errors.As(err, &rejected):
		step.Status, r.Status, r.Error = StepSucceeded, Rejected, rejected.reason
		for i := range r.Steps {
			if r.Steps[i].Status == StepPending {
				r.Steps[i].Status = StepSkipped
			}
		}
	default:
		text := publicText(err)
		step.Status, step.Error = StepFailed, &text
		r.Status, r.Error = Failed, fmt.Sprintf("%s: %s", step.Name, text)
		e.log.Error("step failed", "renewal", r.ID, "step", step.Name, "error", err)
	}
	if !r.Status.Final() {
		return
	}
	r.FinishedAt = &now
	e.metrics.renewals.WithLabelValues(string(r.Status)).Inc()
	if r.Status == Succeeded {
		e.metrics.lastSuccess.Set(float64(now.Unix()))
	}
	e.log.Info("renewal finished", "renewal", r.ID, "status", r.Status, "model", r.State.Model, "error", r.Error)
}

// keepFiles is how many renewals keep their intermediate files: the newest, so
// that they can be resumed and looked into.
const keepFiles = 5

// tidy removes the files of older renewals. It goes over them again and again,
// so what a process that died has left goes with the next renewal.
func (e *Engine) tidy(ctx context.Context) {
	const look = 20
	all, err := e.ports.Renewals.Renewals(ctx, look, "")
	for i, r := range all {
		if i < keepFiles || !r.Status.Final() {
			continue
		}
		err = errors.Join(err, e.ports.Files.RemoveAll(ctx, r.folder()))
		if r.State.Export != "" {
			err = errors.Join(err, e.ports.Files.RemoveAll(ctx, r.State.Export))
		}
	}
	if err != nil && ctx.Err() == nil {
		e.log.Warn("files of old renewals could not be removed", "error", err)
	}
}

// folder is where a renewal keeps its files.
func (r *Renewal) folder() string { return "renewals/" + r.ID }

// publicText is what the renewal's record says about an error. Operators read
// the record, so it is the error's own text; it holds no secret and no
// customer's values, because steps handle rows by number only.
func publicText(err error) string {
	const most = 1000
	text := err.Error()
	if len(text) > most {
		text = text[:most] + "…"
	}
	return text
}
