package modelswap

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/schema"
)

// stepRun is one call of one step.
type stepRun struct {
	*Engine
	r    *Renewal
	step *Step
}

// rejection ends a renewal whose challenger lost.
type rejection struct{ reason string }

func (r *rejection) Error() string { return r.reason }

// do starts or polls the step. A wait above zero means that it is not done yet.
func (x *stepRun) do(ctx context.Context) (wait time.Duration, err error) {
	switch x.step.Name {
	case Export:
		return x.export(ctx)
	case Convert:
		return x.convert(ctx)
	case Train:
		return x.train(ctx)
	case Register:
		return 0, x.register(ctx)
	case Evaluate:
		return 0, x.evaluate(ctx)
	case Deploy:
		if err := x.holdServing(ctx, x.r); err != nil {
			return 0, err
		}
		return x.deploy(ctx)
	case Verify:
		if err := x.holdServing(ctx, x.r); err != nil {
			return 0, err
		}
		return 0, x.verify(ctx)
	}
	return 0, fmt.Errorf("there is no step %q", x.step.Name)
}

// note writes a figure into the step's detail, for operators.
func (x *stepRun) note(name string, value any) { x.step.Detail[name] = value }

// file names a file of this renewal. Each attempt at the step has its own files,
// because a process suspended in an earlier attempt may still write.
func (x *stepRun) file(name string) string {
	if x.step.Attempt > 1 {
		return fmt.Sprintf("%s/%d/%s", x.r.folder(), x.step.Attempt, name)
	}
	return x.r.folder() + "/" + name
}

// export writes all customers to files. Run again, it finds the export of the
// attempt by its name.
func (x *stepRun) export(ctx context.Context) (time.Duration, error) {
	name := fmt.Sprintf("%s-%d", x.r.ID, x.step.Attempt)
	if err := x.ports.Exporter.StartExport(ctx, name); err != nil {
		return 0, err
	}
	status, err := x.ports.Exporter.ExportStatus(ctx, name)
	if err != nil || !status.Done {
		return x.opts.Poll, err
	}
	x.r.State.Export = status.Folder
	x.note("items", status.Items)
	x.note("folder", status.Folder)
	x.note("export", cmp.Or(status.Source, status.Folder))
	if len(status.PassedOver) > 0 {
		x.note("passed_over", status.PassedOver)
	}
	return 0, nil
}

// train runs a training job. The job is named by renewal and attempt, so that it
// is started once. A job that was lost is started again.
func (x *stepRun) train(ctx context.Context) (time.Duration, error) {
	state := &x.r.State
	algorithm, parameters := x.training(x.r.Overrides)
	job := TrainingJob{
		Name: jobName(x.r, x.step), Model: state.Model,
		Algorithm: algorithm, Hyperparameters: parameters, MaxRuntime: x.maxRuntime(x.r),
		InstanceType: x.r.Overrides.Training.InstanceType, InstanceCount: x.r.Overrides.Training.InstanceCount,
		Train: state.Train, Holdout: state.Holdout, Rows: state.Rows, Columns: x.opts.Schema.Columns(), Features: features(x.opts.Schema),
		Coded: x.opts.Schema.CodedColumns(), Schema: x.opts.Schema.Fingerprint(), Threshold: x.opts.Schema.DecisionThreshold(), Data: state.Data,
	}
	status, err := x.ports.Trainer.TrainingStatus(ctx, job.Name)
	if err != nil {
		return 0, err
	}
	if status.State == TrainingLost {
		if err := x.ports.Trainer.StartTraining(ctx, job); err != nil {
			return 0, err
		}
		status.State = TrainingRunning
	}
	x.note("algorithm", algorithm)
	x.note("hyperparameters", parameters)
	for name, value := range status.Detail {
		x.note(name, value)
	}
	switch status.State {
	case TrainingSucceeded:
		state.Artifact, state.Algorithm = status.Artifact, status.Algorithm
		return 0, nil
	case TrainingFailed:
		return 0, failure.Errorf(failure.Invalid, "%s", status.Reason)
	}
	return x.opts.Poll, nil
}

// features returns, for each column, the name of its feature.
func features(s *schema.Schema) []string {
	var out []string
	for _, i := range s.ColumnFeatures() {
		out = append(out, s.Features[i].Name)
	}
	return out
}

// jobName returns the name of the training job of an attempt.
func jobName(r *Renewal, train *Step) string { return fmt.Sprintf("%s-%d", r.ID, train.Attempt) }

// maxRuntime returns how long a training job may run.
func (e *Engine) maxRuntime(r *Renewal) time.Duration {
	if text := r.Overrides.Training.MaxRuntime; text != "" {
		if limit, err := time.ParseDuration(text); err == nil { // validated when it was set
			return limit
		}
	}
	return e.opts.MaxRuntime
}

// register makes the model deployable. Run again, it registers the same model.
func (x *stepRun) register(ctx context.Context) error {
	state := &x.r.State
	if err := x.ports.Deployer.RegisterModel(ctx, state.Model, state.Artifact, x.opts.Schema.Fingerprint()); err != nil {
		return err
	}
	x.r.Model = &state.Model
	x.note("model", state.Model)
	return x.recordModel(ctx, nil, nil)
}

func (x *stepRun) recordModel(ctx context.Context, metrics *learn.Metrics, figures *Figures) error {
	algorithm, parameters := x.training(x.r.Overrides)
	return x.ports.Models.InsertModel(ctx, Model{
		Name: x.r.State.Model, Renewal: x.r.ID, Algorithm: cmp.Or(x.r.State.Algorithm, algorithm), Schema: x.opts.Schema.Fingerprint(),
		Data: x.r.State.Data, Rows: x.r.State.Rows, Parameters: parameters, Metrics: metrics, Figures: figures,
		CreatedAt: x.opts.Now().UTC().Truncate(time.Millisecond), Watermark: x.r.State.Watermark,
	}, Fence{x.r.ID, x.r.Revision})
}

// deploy makes the challenger serve. Run again, it finds it serving.
func (x *stepRun) deploy(ctx context.Context) (time.Duration, error) {
	want := x.r.State.Model
	serving, err := x.ports.Deployer.Serving(ctx)
	switch {
	case err != nil:
		return 0, err
	case serving.Changing:
		return x.opts.Poll, nil
	case serving.Model == want:
		x.note("model", want)
		x.note("replaced", x.r.State.Champion)
		return 0, nil
	}
	if _, err := x.deployModel(ctx, x.r.change(want)); err != nil {
		return 0, err
	}
	return time.Millisecond, nil
}

// deployModel makes a model serve, with a version higher than those of all models
// that served before.
func (e *Engine) deployModel(ctx context.Context, c Change) (version int64, err error) {
	models, err := e.ports.Models.Models(ctx)
	if err != nil {
		return 0, err
	}
	for _, m := range models {
		if m.DeployedAt != nil {
			c.After = max(c.After, m.DeployedAt.UnixMicro())
		}
	}
	return e.ports.Deployer.DeployModel(ctx, c)
}

// change returns the request to deploy a model, based on what served when the
// challenger was evaluated.
func (r *Renewal) change(model string) Change {
	return Change{Model: model, Over: Serving{Model: r.State.Champion, Version: r.State.Version}, By: Fence{r.ID, r.Claim}}
}

// holdServing prevents processes that claimed the renewal earlier from changing
// what serves. A step calls it first if an earlier run of it may have changed
// that: such a process may have been suspended just before its write.
func (e *Engine) holdServing(ctx context.Context, r *Renewal) error {
	if r.Held == r.Claim {
		return nil
	}
	err := e.ports.Deployer.HoldServing(ctx, r.change(r.State.Model))
	if err == nil {
		r.Held = r.Claim
	}
	return err
}
