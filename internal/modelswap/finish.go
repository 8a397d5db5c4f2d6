package modelswap

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// settle writes the end of a step into the renewal. It also ends the renewal if
// the step is the last one, failed, or rejected the challenger.
func (e *Engine) settle(r *Renewal, step *Step, err error) {
	now := e.opts.Now().UTC()
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
		step.Status, step.Error = StepFailed, &rejected.reason
		r.Status, r.Error = Rejected, rejected.reason
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

// cancelled ends a renewal whose cancellation was requested: it stops external
// jobs and restores the model that served before.
func (e *Engine) cancelled(ctx context.Context, r *Renewal) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	now := e.opts.Now().UTC()
	step := r.Current()
	if step.Name == Train && step.Status == StepRunning {
		if err := e.ports.Trainer.StopTraining(ctx, jobName(r, step)); err != nil {
			e.log.Error("the training job could not be stopped", "renewal", r.ID, "error", err)
			step.Detail["not_stopped"] = publicText(err)
		}
	}
	e.stopScoring(ctx, r, step)
	if step.Status == StepRunning {
		(&stepRun{Engine: e, r: r, step: step}).stopConversion(ctx)
	}
	if step.Name == Deploy || step.Name == Verify {
		wait, err := e.putBack(ctx, r)
		if err != nil {
			return err
		}
		if wait {
			step.Detail["waiting"] = "waiting for the deployment in progress to end"
			return e.save(ctx, r, max(e.opts.Poll, holdTime+1)) // released until then
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

// stopScoring stops the evaluations that a cancelled step left running. One that
// cannot be stopped ends by itself and costs money until then.
func (e *Engine) stopScoring(ctx context.Context, r *Renewal, step *Step) {
	if step.Status != StepRunning || step.Name != Evaluate && step.Name != Deploy && step.Name != Verify {
		return
	}
	for _, model := range []string{r.State.Model, r.State.Champion} {
		if model == "" {
			continue
		}
		if err := e.ports.Deployer.StopScoring(ctx, model); err != nil {
			e.log.Error("an evaluation could not be stopped", "renewal", r.ID, "model", model, "error", err)
			step.Detail["not_stopped"] = publicText(err)
		}
	}
}

// putBack deploys the champion again where the challenger already serves. A
// deployment in progress cannot be stopped, so it waits for its end first.
func (e *Engine) putBack(ctx context.Context, r *Renewal) (wait bool, err error) {
	// Before reading what serves: a process that claimed the renewal earlier can
	// then no longer change it.
	err = e.holdServing(ctx, r)
	if errors.Is(err, ErrChanged) {
		return false, nil // something else serves, which this renewal leaves unchanged
	}
	if err != nil {
		return false, err
	}
	serving, err := e.ports.Deployer.Serving(ctx)
	if err != nil || serving.Changing {
		return serving.Changing, err
	}
	if serving.Model != r.State.Model || r.State.Champion == "" {
		return false, nil
	}
	_, err = e.deployModel(ctx, r.change(r.State.Champion))
	return false, err
}

// publicText returns what the renewal's record says about an error. Operators
// read the record, so it is the error's own text. It holds no secret and no
// customer's values, because steps name rows by number only.
func publicText(err error) string {
	const most = 1000
	text := err.Error()
	if len(text) > most {
		text = text[:most] + "…"
	}
	return text
}
