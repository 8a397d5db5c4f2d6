package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime/debug"
	"sync"
	"time"

	"gateway/internal/datadir"
	"gateway/internal/learn"
	"gateway/internal/modelswap"
)

// Trainer implements modelswap.Trainer with package learn in goroutines of this process. It
// writes the artifact to a file in the folder of the training data. A job of another process
// is lost.
type Trainer struct {
	files *datadir.Files
	seed  uint64
	now   func() time.Time

	mu   sync.Mutex
	jobs map[string]*job
	wg   sync.WaitGroup
	ctx  context.Context // of all jobs; Close ends it
	stop context.CancelFunc
}

type job struct {
	cancel context.CancelFunc
	status modelswap.TrainingStatus
}

// NewTrainer makes a trainer that reads and writes files.
func NewTrainer(files *datadir.Files, seed uint64) *Trainer {
	ctx, stop := context.WithCancel(context.Background())
	return &Trainer{files: files, seed: seed, now: time.Now, jobs: make(map[string]*job), ctx: ctx, stop: stop}
}

// UseClock makes the trainer take the times of models from a clock instead of time.Now.
// It must be called before the first job.
func (t *Trainer) UseClock(now func() time.Time) { t.now = now }

// Close stops all jobs and waits for their end.
func (t *Trainer) Close() error {
	t.stop()
	t.wg.Wait()
	return nil
}

// artifactOf returns the name of the file that a job writes.
func artifactOf(j modelswap.TrainingJob) string {
	return path.Join(path.Dir(j.Train), "model-"+j.Name+".json")
}

// StartTraining implements modelswap.Trainer. If the files of the training data are on
// another machine, the error matches fs.ErrNotExist.
func (t *Trainer) StartTraining(ctx context.Context, spec modelswap.TrainingJob) error {
	for _, name := range []string{spec.Train, spec.Holdout} {
		if _, err := fs.Stat(t.files.FS(ctx), name); err != nil {
			return fmt.Errorf("training data: %w", err)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if j := t.jobs[spec.Name]; j != nil && j.status.State == modelswap.TrainingRunning {
		return nil
	}
	if t.ctx.Err() != nil {
		return t.ctx.Err()
	}
	for name, j := range t.jobs { // there is one renewal at a time, so jobs that have ended are not needed
		if j.status.State != modelswap.TrainingRunning {
			delete(t.jobs, name)
		}
	}
	ctx, cancel := context.WithTimeout(t.ctx, spec.MaxRuntime)
	j := &job{cancel: cancel, status: modelswap.TrainingStatus{State: modelswap.TrainingRunning}}
	t.jobs[spec.Name] = j
	t.wg.Go(func() {
		defer cancel()
		status := t.train(ctx, spec, j)
		t.mu.Lock()
		j.status = status
		t.mu.Unlock()
	})
	return nil
}

func (t *Trainer) train(ctx context.Context, spec modelswap.TrainingJob, j *job) modelswap.TrainingStatus {
	start := time.Now()
	made, err := t.make(ctx, spec, func(done, total int) {
		t.mu.Lock()
		j.status.Detail = map[string]any{"progress": float64(done) / float64(max(1, total))}
		t.mu.Unlock()
	})
	switch {
	case err == nil:
		detail := map[string]any{"progress": 1.0, "training_seconds": time.Since(start).Seconds()}
		if ignored := append(made.model.Ignored(), spec.Ignored...); len(ignored) > 0 {
			detail["ignored"] = ignored
		}
		status := modelswap.TrainingStatus{State: modelswap.TrainingSucceeded, Artifact: made.file, Detail: detail}
		if tried := made.model.Search(); tried != nil {
			status.Algorithm = string(tried.Chosen)
			detail["chosen"], detail["calibration"] = tried.Chosen, tried.Calibration
			detail["compared_rows"], detail["folds"], detail["candidates"] = tried.Rows, tried.Folds, tried.Candidates
		}
		return status
	case t.ctx.Err() != nil:
		return modelswap.TrainingStatus{State: modelswap.TrainingLost}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return modelswap.TrainingStatus{State: modelswap.TrainingFailed,
			Reason: fmt.Sprintf("training took longer than the %s allowed (GATEWAY_TRAINING_MAX_RUNTIME); data too large for this machine can be learned from on SageMaker (GATEWAY_PLATFORM=sagemaker)", spec.MaxRuntime)}
	case ctx.Err() != nil:
		return modelswap.TrainingStatus{State: modelswap.TrainingFailed, Reason: "training was stopped"}
	}
	return modelswap.TrainingStatus{State: modelswap.TrainingFailed, Reason: err.Error()}
}

// trained is the model of a job with the name of its artifact.
type trained struct {
	model *learn.Model
	file  string // name of the artifact
}

// make trains the model, evaluates it on the held-out rows and writes the artifact.
func (t *Trainer) make(ctx context.Context, spec modelswap.TrainingJob, progress func(done, total int)) (trained, error) {
	if err := t.checkMemory(ctx, spec.Train); err != nil {
		return trained{}, err
	}
	data, err := t.read(ctx, spec.Train, spec.Columns)
	if err != nil {
		return trained{}, err
	}
	model, err := learn.TrainTable(ctx, data, learn.Options{Algorithm: learn.Algorithm(spec.Algorithm),
		Hyperparameters: spec.Hyperparameters, Coded: spec.Coded, Seed: t.seed, Progress: progress})
	if err != nil {
		return trained{}, err
	}
	artifact := &learn.Artifact{
		Name: spec.Model, Schema: spec.Schema, Data: spec.Data, Rows: data.Rows(),
		CreatedAt: t.now().UTC(), Algorithm: model.Algorithm(), Hyperparameters: spec.Hyperparameters,
		Seed: t.seed, Model: model,
	}
	held, err := t.read(ctx, spec.Holdout, spec.Columns)
	if err != nil {
		return trained{}, err
	}
	scores := make([]float64, held.Rows())
	row := make([]float64, len(spec.Columns))
	for i := range scores {
		held.ReadRow(i, row)
		scores[i] = model.Score(row)
	}
	// If the model cannot be evaluated, for example because all held-out rows have one
	// label, the artifact has no metrics. The step evaluate decides what follows.
	threshold := cmp.Or(spec.Threshold, model.Threshold())
	if metrics, err := learn.Evaluate(scores, held.Labels(), threshold); err == nil {
		artifact.Metrics = &metrics
		artifact.Figures, err = learn.Describe(ctx, model, held, spec.Features, threshold, t.seed)
		if err != nil {
			return trained{}, err
		}
	}
	name := artifactOf(spec)
	return trained{model, name}, t.files.WriteFile(ctx, name, func(w io.Writer) error { return artifact.Encode(w) })
}

// memoryPerByte is how much memory training takes at least for each byte of the
// training CSV: the table, its bins, and what the solvers keep of each row.
const memoryPerByte = 2

// checkMemory returns an error if training would exceed the memory limit of the
// process, which would be killed, and with it the service.
func (t *Trainer) checkMemory(ctx context.Context, name string) error {
	file, err := fs.Stat(t.files.FS(ctx), name)
	if err != nil {
		return err
	}
	const mib = 1 << 20
	limit := debug.SetMemoryLimit(-1) // reads the limit
	if need := memoryPerByte * file.Size(); need > limit {
		return fmt.Errorf("training on %d MiB of CSV takes %d MiB of memory or more, and this process may use %d MiB: allow it more, or train on SageMaker (GATEWAY_PLATFORM=sagemaker)",
			file.Size()/mib, need/mib, limit/mib)
	}
	return nil
}

func (t *Trainer) read(ctx context.Context, name string, columns []string) (*learn.Table, error) {
	f, err := t.files.FS(ctx).Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := learn.ReadTable(f, columns)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// TrainingStatus implements modelswap.Trainer.
func (t *Trainer) TrainingStatus(_ context.Context, name string) (modelswap.TrainingStatus, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if j := t.jobs[name]; j != nil {
		return j.status, nil
	}
	return modelswap.TrainingStatus{State: modelswap.TrainingLost}, nil
}

// StopTraining implements modelswap.Trainer.
func (t *Trainer) StopTraining(_ context.Context, name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if j := t.jobs[name]; j != nil {
		j.cancel()
	}
	return nil
}
