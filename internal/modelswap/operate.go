package modelswap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gateway/internal/failure"
)

// ResumeRequest says how a renewal continues.
type ResumeRequest struct {
	From      StepName  // an earlier step to continue from; empty: the one that failed
	Overrides Overrides // merged over the renewal's overrides
}

// Resume continues a renewal that failed, was rejected or was cancelled, from the
// step that stopped it, with the same inputs or with overrides. Completed steps
// before it do not run again. The overrides are recorded in the detail of the
// first step that runs again. Errors are *failure.Error: NotFound, Invalid, or
// Conflict where the renewal has not stopped or another one is unfinished.
func (e *Engine) Resume(ctx context.Context, id string, req ResumeRequest) (*Renewal, error) {
	r, err := e.ports.Renewals.Renewal(ctx, id)
	if err != nil {
		return nil, err
	}
	if !r.Status.Final() || r.Status == Succeeded {
		return nil, failure.Errorf(failure.Conflict, "renewal %s is %s: only one that failed, was rejected or was cancelled can be resumed", id, r.Status)
	}
	if e.foreign(r) {
		return nil, failure.Errorf(failure.Conflict, "renewal %s was started for schema %.12s, this gateway has %.12s: start a new one",
			id, r.State.Schema, e.opts.Schema.Fingerprint())
	}
	stopped := r.stoppedAt()
	from := stopped
	if from == Verify {
		from = Deploy // the champion was restored, or may have been
	}
	if req.From != "" {
		if from = req.From; !slices.Contains(Order(), from) || slices.Index(Order(), from) > slices.Index(Order(), stopped) {
			return nil, &failure.Error{Kind: failure.Invalid, Detail: "the renewal cannot be resumed", Violations: []failure.Violation{{
				Field: "from", Code: failure.CodeFormat, Detail: fmt.Sprintf("must be %q, where the renewal stopped, or a step before it", stopped)}}}
		}
	}
	if from == Deploy {
		if from, err = e.rebase(ctx, r); err != nil {
			return nil, err
		}
	}
	merged := r.Overrides.with(req.Overrides)
	if violations := e.check(TriggerRequest{Overrides: merged}); len(violations) > 0 {
		return nil, &failure.Error{Kind: failure.Invalid, Detail: "the renewal cannot be resumed", Violations: violations}
	}
	if req.Overrides.JudgeBy != "" && slices.Index(Order(), from) > slices.Index(Order(), Convert) {
		return nil, &failure.Error{Kind: failure.Invalid, Detail: "the renewal cannot be resumed", Violations: []failure.Violation{{
			Field: "/overrides/judge_by", Code: failure.CodeFormat, Detail: `is for the step "convert": resume from there`}}}
	}
	r.reset(from)
	first := r.Step(from)
	first.Detail["resumed_at"] = e.opts.Now().UTC().Format(time.RFC3339)
	if !req.Overrides.empty() {
		first.Detail["overrides"] = req.Overrides
	}
	if slices.Index(Order(), from) <= slices.Index(Order(), Train) {
		e.renameModel(r)
	}
	r.Overrides, r.Status, r.Error, r.FinishedAt, r.Cancelling, r.WakeAt = merged, Queued, "", nil, false, time.Time{}
	if err := e.ports.Renewals.UpdateRenewal(ctx, r); err != nil {
		return nil, err
	}
	e.log.Info("renewal resumed", "renewal", r.ID, "from", from)
	e.wakeUp()
	return r, nil
}

// rebase prepares a renewal that continues at deploy to replace the model that
// serves now. It returns the step to continue from: evaluate, if the challenger
// has not been compared with that model.
func (e *Engine) rebase(ctx context.Context, r *Renewal) (StepName, error) {
	serving, err := e.ports.Deployer.Serving(ctx)
	if err != nil {
		return "", err
	}
	if serving.Model != r.State.Champion && serving.Model != r.State.Model {
		return Evaluate, nil
	}
	r.State.Version = serving.Version
	return Deploy, nil
}

// renameModel gives a new name to the model of a repeated training, so that a
// name never stands for two models.
func (e *Engine) renameModel(r *Renewal) {
	r.State.Model = modelName(e.opts.Schema.Name, r.ID, r.CreatedAt, r.Step(Train).Attempt+1)
	r.Model, r.Metrics = nil, Metrics{}
}

// stoppedAt returns the step at which a final renewal stopped.
func (r *Renewal) stoppedAt() StepName {
	for _, s := range r.Steps {
		if s.Status != StepSucceeded && s.Status != StepSkipped {
			return s.Name
		}
	}
	return Evaluate // rejected by an earlier version, which recorded the step as succeeded
}

func (o Overrides) empty() bool {
	return len(o.Hyperparameters) == 0 && o.Training == Training{} && o.Gate == "" && o.JudgeBy == ""
}

// with merges other over o.
func (o Overrides) with(other Overrides) Overrides {
	parameters := maps.Clone(o.Hyperparameters)
	if parameters == nil && other.Hyperparameters != nil {
		parameters = Hyperparameters{}
	}
	maps.Copy(parameters, other.Hyperparameters)
	o.Hyperparameters = parameters
	if t := other.Training; t.Algorithm != "" {
		o.Training.Algorithm = t.Algorithm
	}
	if t := other.Training; t.InstanceType != "" {
		o.Training.InstanceType = t.InstanceType
	}
	if t := other.Training; t.InstanceCount != 0 {
		o.Training.InstanceCount = t.InstanceCount
	}
	if t := other.Training; t.MaxRuntime != "" {
		o.Training.MaxRuntime = t.MaxRuntime
	}
	if other.Gate != "" {
		o.Gate = other.Gate
	}
	if other.JudgeBy != "" {
		o.JudgeBy = other.JudgeBy
	}
	return o
}

// Cancel requests the cancellation of a renewal. The gateway that works on it
// stops its jobs, deploys the champion again if necessary, and ends it within
// seconds. Errors are *failure.Error: NotFound, or Conflict if the renewal has
// ended.
func (e *Engine) Cancel(ctx context.Context, id string) (*Renewal, error) {
	if err := e.ports.Renewals.RequestCancel(ctx, id); err != nil {
		return nil, err
	}
	e.log.Info("cancellation of the renewal requested", "renewal", id)
	e.wakeUp()
	return e.ports.Renewals.Renewal(ctx, id)
}

// Attempts returns every attempt of every step of a renewal, oldest first.
func (e *Engine) Attempts(ctx context.Context, id string) ([]Step, error) {
	return e.ports.Renewals.Attempts(ctx, id)
}

// Rollback deploys an earlier model: the one named, or the one that served before
// the current one. Errors are *failure.Error: NotFound; Conflict where there is
// none to return to, it serves already, it was made for another schema, a
// renewal is deploying a model, or the platform still changes the serving model and
// none is named: which one is the earlier model is open then.
func (e *Engine) Rollback(ctx context.Context, name string) (*Model, error) {
	models, serving, err := e.models(ctx)
	if err != nil {
		return nil, err
	}
	if err := e.notDeploying(ctx); err != nil {
		return nil, err
	}
	if name == "" && serving.Changing {
		return nil, failure.Errorf(failure.Conflict, "the serving model is still being changed: wait for the end of the change, or name the model to go back to")
	}
	var target *Model
	for i := range models {
		m := &models[i]
		switch {
		case name != "" && m.Name == name:
			target = m
		case name == "" && !m.Serving && m.DeployedAt != nil && m.RemovedAt == nil && m.Schema == e.opts.Schema.Fingerprint() &&
			(target == nil || m.DeployedAt.After(*target.DeployedAt)):
			target = m
		}
	}
	switch {
	case target == nil && name != "":
		return nil, failure.Errorf(failure.NotFound, "there is no model %q; gateway models lists them", name)
	case target == nil:
		return nil, failure.Errorf(failure.Conflict, "there is no earlier model to go back to; make one with gateway retrain")
	case target.Serving:
		// Recorded again, because an earlier rollback may have died before
		// recording it.
		if err := e.ports.Models.MarkServing(ctx, target.Name, serving.Since()); err != nil && !errors.Is(err, ErrStale) {
			return nil, err
		}
		return nil, failure.Errorf(failure.Conflict, "model %s already serves", target.Name)
	case target.RemovedAt != nil:
		return nil, failure.Errorf(failure.Conflict, "model %s was removed: only the last %d that served are kept (GATEWAY_KEEP_MODELS)", target.Name, e.opts.KeepModels)
	case target.Schema != e.opts.Schema.Fingerprint():
		return nil, failure.Errorf(failure.Conflict, "model %s was made for schema %.12s, the gateway has %.12s (GATEWAY_SCHEMA)",
			target.Name, target.Schema, e.opts.Schema.Fingerprint())
	}
	version, err := e.deployModel(ctx, Change{Model: target.Name, Over: serving})
	if errors.Is(err, ErrStale) {
		return nil, changed(serving.Model, "another model")
	}
	if err != nil {
		return nil, err
	}
	now := Serving{Version: version}.Since()
	if err := e.ports.Models.MarkServing(ctx, target.Name, now); errors.Is(err, ErrStale) {
		return nil, changed(target.Name, "another model")
	} else if err != nil {
		return nil, err
	}
	e.log.Info("rolled back", "model", target.Name)
	target.Serving, target.DeployedAt, target.RetiredAt = true, &now, nil
	return target, nil
}

// notDeploying returns a Conflict while a renewal is deploying a model.
func (e *Engine) notDeploying(ctx context.Context) error {
	newest, err := e.ports.Renewals.Renewals(ctx, 10, "")
	if err != nil {
		return err
	}
	for _, r := range newest {
		if r.Status.Final() {
			continue
		}
		if s := r.Current(); s != nil && (s.Name == Deploy || s.Name == Verify) {
			return failure.Errorf(failure.Conflict, "renewal %s is deploying a model; cancel it, or wait for its end", r.ID)
		}
	}
	return nil
}
