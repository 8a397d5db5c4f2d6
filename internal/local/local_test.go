package local_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway/internal/datadir"
	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/local"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
)

// memory is a local.Store.
type memory struct {
	artifacts map[string][]byte
	mu        sync.Mutex
	serving   modelswap.Serving
	holder    modelswap.Fence
	fault     error
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = err
}

func (m *memory) PutArtifact(_ context.Context, name string, body []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.artifacts[name]; ok && !bytes.Equal(old, body) {
		return failure.Errorf(failure.Conflict, "model %s has another artifact already", name)
	}
	m.artifacts[name] = body
	return nil
}

func (m *memory) Artifact(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if body, ok := m.artifacts[name]; ok {
		return body, nil
	}
	return nil, failure.Errorf(failure.NotFound, "there is no artifact %q", name)
}

func (m *memory) RemoveArtifact(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.serving.Model == name {
		return failure.Errorf(failure.Conflict, "model %s serves", name)
	}
	delete(m.artifacts, name)
	return nil
}

func (m *memory) SetServing(_ context.Context, _, _ string, c modelswap.Change) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := c.Check(m.serving, m.holder); err != nil {
		return 0, err
	}
	if m.serving.Model != c.Model {
		m.serving.Model, m.serving.Version = c.Model, m.serving.Version+1
	}
	m.holder = c.By
	return m.serving.Version, m.fault
}

func (m *memory) HoldServing(_ context.Context, _, _ string, c modelswap.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := c.Check(m.serving, m.holder); err != nil {
		return err
	}
	m.holder = c.By
	return m.fault
}

func (m *memory) Serving(context.Context, string, string) (modelswap.Serving, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.serving, m.fault
}

// deploy makes a model serve instead of the present one.
func deploy(ctx context.Context, deployer *local.Deployer, model string) error {
	now, err := deployer.Serving(ctx)
	if err == nil {
		_, err = deployer.DeployModel(ctx, modelswap.Change{Model: model, Over: now})
	}
	return err
}

// training writes a small training set and returns the job for it.
func training(t *testing.T, files *datadir.Files, name string) modelswap.TrainingJob {
	t.Helper()
	s := schema.Bank()
	for _, file := range []string{"train.csv", "holdout.csv"} {
		err := files.WriteFile(t.Context(), "r/"+file, func(w io.Writer) error {
			for i := range 300 {
				row := make(schema.Vector, s.Width())
				row[0], row[1+i%12] = float64(20+i%50), 1
				label := 0
				if i%50 > 20 {
					label = 1
				}
				if _, err := w.Write(append(schema.AppendTrainingCSV(nil, label, row), '\n')); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var features []string
	for _, i := range s.ColumnFeatures() {
		features = append(features, s.Features[i].Name)
	}
	return modelswap.TrainingJob{Name: name, Model: "model-" + name, Algorithm: string(learn.XGBoost),
		Hyperparameters: map[string]string{"num_round": "5"}, MaxRuntime: time.Minute,
		Train: "r/train.csv", Holdout: "r/holdout.csv", Columns: s.Columns(), Features: features, Schema: s.Fingerprint(), Threshold: 0.3, Data: "digest"}
}

// trained runs a training job to its end.
func trained(t *testing.T, trainer *local.Trainer, job modelswap.TrainingJob) modelswap.TrainingStatus {
	t.Helper()
	if err := trainer.StartTraining(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		status, err := trainer.TrainingStatus(t.Context(), job.Name)
		if err != nil {
			t.Fatal(err)
		}
		if status.State != modelswap.TrainingRunning {
			return status
		}
		<-tick.C
	}
}

func TestTraining(t *testing.T) {
	files := datadir.NewFiles(t.TempDir())
	trainer := local.NewTrainer(files, 1)
	t.Cleanup(func() { _ = trainer.Close() })
	job := training(t, files, "one")

	if status, err := trainer.TrainingStatus(t.Context(), job.Name); err != nil || status.State != modelswap.TrainingLost {
		t.Errorf("an unknown job is %v (%v), want lost", status.State, err)
	}
	status := trained(t, trainer, job)
	if status.State != modelswap.TrainingSucceeded || status.Detail["progress"] != 1.0 {
		t.Fatalf("got %+v, want success", status)
	}
	text, err := fs.ReadFile(files.FS(t.Context()), status.Artifact)
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := learn.Decode(bytes.NewReader(text))
	if err != nil || artifact.Name != job.Model || artifact.Schema != job.Schema || artifact.Data != "digest" || artifact.Rows != 300 || artifact.Metrics == nil || len(artifact.Figures.Importance) != 20 || artifact.Figures.Confusion.Threshold != job.Threshold {
		t.Errorf("the artifact says %+v (%v)", artifact, err)
	}

	auto := job
	auto.Name, auto.Algorithm, auto.Hyperparameters = "auto", string(learn.Auto), nil
	status = trained(t, trainer, auto)
	candidates, _ := status.Detail["candidates"].([]learn.Candidate)
	if status.State != modelswap.TrainingSucceeded || len(candidates) == 0 || status.Detail["chosen"] != learn.Algorithm(status.Algorithm) ||
		status.Detail["folds"] != 5 || status.Detail["compared_rows"] != 300 || status.Detail["calibration"] == "" {
		t.Errorf("got %+v, want what was tried and chosen", status)
	}
	text, err = fs.ReadFile(files.FS(t.Context()), status.Artifact)
	if err != nil {
		t.Fatal(err)
	}
	if artifact, err := learn.Decode(bytes.NewReader(text)); err != nil || string(artifact.Algorithm) != status.Algorithm || artifact.Model.Search() == nil {
		t.Errorf("the artifact says %+v (%v), want the algorithm that was chosen", artifact, err)
	}

	bad := job
	bad.Name, bad.Hyperparameters = "bad", map[string]string{"num_round": "0"}
	if status := trained(t, trainer, bad); status.State != modelswap.TrainingFailed || !strings.Contains(status.Reason, "num_round") {
		t.Errorf("num_round 0 gave %+v, want a failure that names it", status)
	}
	late := job
	late.Name, late.MaxRuntime = "late", time.Nanosecond
	if status := trained(t, trainer, late); status.State != modelswap.TrainingFailed || !strings.Contains(status.Reason, "longer than") {
		t.Errorf("a job out of time gave %+v, want a failure that says so", status)
	}
	elsewhere := job
	elsewhere.Name, elsewhere.Train = "elsewhere", "nowhere/train.csv"
	if err := trainer.StartTraining(t.Context(), elsewhere); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("training data that is not here gave %v, want fs.ErrNotExist", err)
	}
	if err := trainer.StopTraining(t.Context(), "nobody"); err != nil {
		t.Errorf("stopping an unknown job: %v", err)
	}
	if err := trainer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := trainer.StartTraining(t.Context(), job); err == nil {
		t.Error("a closed trainer took a job")
	}
}

// Training that would exceed the memory limit fails before it begins.
func TestTrainingNeedsMemory(t *testing.T) {
	files := datadir.NewFiles(t.TempDir())
	trainer := local.NewTrainer(files, 1)
	t.Cleanup(func() { _ = trainer.Close() })
	job := training(t, files, "one")
	file, err := fs.Stat(files.FS(t.Context()), job.Train)
	if err != nil {
		t.Fatal(err)
	}
	before := debug.SetMemoryLimit(2*file.Size() - 1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	if status := trained(t, trainer, job); status.State != modelswap.TrainingFailed || !strings.Contains(status.Reason, "this process may use 0 MiB: allow it more, or train on SageMaker") {
		t.Errorf("got %+v, want that the memory is too little", status)
	}
	debug.SetMemoryLimit(2 * file.Size())
	job.Name = "two"
	if status := trained(t, trainer, job); status.State != modelswap.TrainingSucceeded {
		t.Errorf("got %+v, want success", status)
	}
}

func TestADeployedModelServesAndOneOfAnotherSchemaIsRefused(t *testing.T) {
	root := t.TempDir()
	files := datadir.NewFiles(root)
	trainer := local.NewTrainer(files, 1)
	t.Cleanup(func() { _ = trainer.Close() })
	job := training(t, files, "one")
	status := trained(t, trainer, job)

	s, ctx := schema.Bank(), t.Context()
	store := &memory{artifacts: map[string][]byte{}}
	scorer := &local.Scorer{}
	deployer := local.NewDeployer(store, files.FS(ctx), "e", s, scorer)
	row := make(schema.Vector, s.Width())
	row[0] = 45

	if _, err := scorer.Score(ctx, []schema.Vector{row}, false); !isKind(err, failure.Unavailable) || scorer.Ready(ctx) == nil {
		t.Errorf("without a model the scorer says %v, want unavailable", err)
	}
	if err := deployer.RegisterModel(ctx, job.Model, status.Artifact, "another"); !errors.Is(err, learn.ErrSchema) {
		t.Errorf("another schema gave %v, want learn.ErrSchema", err)
	}
	if err := deployer.RegisterModel(ctx, "another-name", status.Artifact, s.Fingerprint()); err == nil {
		t.Error("an artifact was registered under a name that it does not bear")
	}
	if err := deploy(ctx, deployer, job.Model); !isKind(err, failure.NotFound) {
		t.Errorf("a model that is not registered gave %v, want not found", err)
	}
	if err := deployer.RegisterModel(ctx, job.Model, status.Artifact, s.Fingerprint()); err != nil {
		t.Fatal(err)
	}
	if err := deploy(ctx, deployer, job.Model); err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithTimeout(ctx, 0)
	if _, err := scorer.Score(late, []schema.Vector{row}, false); !isKind(err, failure.Deadline) {
		t.Errorf("after the deadline: got %v, want kind Deadline", err)
	}
	cancel()
	live, err := scorer.Score(ctx, []schema.Vector{row, row}, true)
	want, err2 := deployer.ScoreWith(ctx, job.Model, []schema.Vector{row})
	if err != nil || err2 != nil || live.Model != job.Model || live.Score[1] != want[0] || live.Schema != s.Fingerprint() {
		t.Errorf("got %+v, want %v (%v, %v)", live, want, err, err2)
	}

	// What serves stays; what does not is gone, from memory too.
	if err := deployer.RemoveModel(ctx, job.Model); !isKind(err, failure.Conflict) {
		t.Errorf("removing the model that serves gave %v, want a conflict", err)
	}
	old := training(t, files, "old")
	if err := deployer.RegisterModel(ctx, old.Model, trained(t, trainer, old).Artifact, s.Fingerprint()); err != nil {
		t.Fatal(err)
	}
	if _, err := deployer.ScoreWith(ctx, old.Model, []schema.Vector{row}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(deployer.RemoveModel(ctx, old.Model), deployer.RemoveModel(ctx, old.Model)); err != nil {
		t.Errorf("removing a model twice: %v", err)
	}
	if _, err := deployer.ScoreWith(ctx, old.Model, []schema.Vector{row}); !isKind(err, failure.NotFound) {
		t.Errorf("a removed model gave %v, want not found", err)
	}

	// A restart finds the model again; a gateway with another schema does not serve it.
	again := &local.Scorer{}
	name, err := local.NewDeployer(store, files.FS(ctx), "e", s, again).Restore(ctx)
	if err != nil || name != job.Model || again.Ready(ctx) != nil {
		t.Errorf("restored %q (%v), want %q", name, err, job.Model)
	}
	other, err := schema.Parse("other.yaml", bytes.Replace(schema.BankYAML(), []byte("name: bank"), []byte("name: other"), 1))
	if err != nil {
		t.Fatal(err)
	}
	third := &local.Scorer{}
	if _, err := local.NewDeployer(store, files.FS(ctx), "e", other, third).Restore(ctx); !errors.Is(err, learn.ErrSchema) || third.Ready(ctx) == nil {
		t.Errorf("another schema restored with %v, want learn.ErrSchema and nothing serving", err)
	}
}

func isKind(err error, kind failure.Kind) bool {
	var e *failure.Error
	return errors.As(err, &e) && e.Kind == kind
}

func TestAModelThatAnotherProcessDeploysServesHereToo(t *testing.T) {
	files := datadir.NewFiles(t.TempDir())
	trainer := local.NewTrainer(files, 1)
	t.Cleanup(func() { _ = trainer.Close() })
	s, ctx := schema.Bank(), t.Context()
	store := &memory{artifacts: map[string][]byte{}}
	here, there := &local.Scorer{}, &local.Scorer{}
	deployer := local.NewDeployer(store, files.FS(ctx), "e", s, there)
	follower := local.NewDeployer(store, files.FS(ctx), "e", s, here)
	followed, stop := context.WithCancel(ctx)
	t.Cleanup(stop)
	logged := make(lines, 10)
	go follower.Follow(followed, time.Millisecond, slog.New(slog.NewTextHandler(logged, nil)))
	row := make(schema.Vector, s.Width())
	for _, name := range []string{"one", "two"} {
		job := training(t, files, name)
		status := trained(t, trainer, job)
		if err := deployer.RegisterModel(ctx, job.Model, status.Artifact, s.Fingerprint()); err != nil {
			t.Fatal(err)
		}
		if err := deploy(ctx, deployer, job.Model); err != nil {
			t.Fatal(err)
		}
		tick := time.NewTicker(time.Millisecond)
		for {
			scores, err := here.Score(ctx, []schema.Vector{row}, false)
			if err == nil && scores.Model == job.Model {
				break
			}
			<-tick.C
		}
		tick.Stop()
	}
	// A store that fails is logged once; the model goes on serving.
	store.fail(errors.New("the database is gone"))
	if line := <-logged; !strings.Contains(line, `level=ERROR msg="cannot read or load the model`) || !strings.Contains(line, `error="the database is gone"`) {
		t.Errorf("a failing store was logged as %s", line)
	}
	if here.Ready(ctx) != nil {
		t.Error("the model no longer serves")
	}
	store.fail(nil)
	if line := <-logged; !strings.Contains(line, "can be read and loaded again") || !strings.Contains(line, "failed_for=") {
		t.Errorf("the end of the failure was logged as %s", line)
	}
}

// lines receives the lines of a log.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
