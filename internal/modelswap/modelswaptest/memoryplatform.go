package modelswaptest

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"maps"
	"strings"
	"testing/fstest"
	"time"

	"gateway/internal/export"
	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// StartExport implements modelswap.Exporter.
func (b *Backend) StartExport(ctx context.Context, name string) error {
	if err := b.before("StartExport"); err != nil {
		return err
	}
	_, err := export.Write(ctx, b, export.Meta{Schema: b.Schema, ID: name, Folder: "export"},
		func(each func(predict.Customer) error) error {
			for _, c := range b.Customers {
				if err := each(c); err != nil {
					return err
				}
			}
			return nil
		})
	return err
}

// ExportStatus implements modelswap.Exporter.
func (b *Backend) ExportStatus(_ context.Context, name string) (modelswap.ExportStatus, error) {
	return modelswap.ExportStatus{Done: true, Folder: "export/AWSDynamoDB/" + name, Items: int64(len(b.Customers))}, nil
}

// FS implements modelswap.Files.
func (b *Backend) FS(context.Context) fs.FS {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.files)
}

// WriteFile implements modelswap.Files.
func (b *Backend) WriteFile(_ context.Context, name string, write func(io.Writer) error) error {
	var text bytes.Buffer
	if err := write(&text); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.files[name] = &fstest.MapFile{Data: text.Bytes(), Mode: 0o600}
	return nil
}

// RemoveAll implements modelswap.Files.
func (b *Backend) RemoveAll(_ context.Context, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.files, func(file string, _ *fstest.MapFile) bool { return strings.HasPrefix(file, name+"/") })
	return nil
}

// StartTraining implements modelswap.Trainer. Training ends at once.
func (b *Backend) StartTraining(_ context.Context, job modelswap.TrainingJob) error {
	if err := b.before("StartTraining"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	status := modelswap.TrainingStatus{State: modelswap.TrainingSucceeded, Artifact: job.Name + ".model"}
	if job.Algorithm == string(learn.Auto) {
		status.Algorithm = string(learn.Blend)
	}
	if job.Hyperparameters["num_round"] == "0" {
		status = modelswap.TrainingStatus{State: modelswap.TrainingFailed, Reason: "num_round must be at least 1"}
	}
	b.jobs[job.Name] = status
	return nil
}

// TrainingStatus implements modelswap.Trainer.
func (b *Backend) TrainingStatus(_ context.Context, name string) (modelswap.TrainingStatus, error) {
	if err := b.before("TrainingStatus"); err != nil {
		return modelswap.TrainingStatus{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if status, ok := b.jobs[name]; ok {
		return status, nil
	}
	return modelswap.TrainingStatus{State: modelswap.TrainingLost}, nil
}

// StopTraining implements modelswap.Trainer.
func (b *Backend) StopTraining(context.Context, string) error { return b.before("StopTraining") }

// RegisterModel implements modelswap.Deployer.
func (b *Backend) RegisterModel(context.Context, string, string, string) error {
	return b.before("RegisterModel")
}

// DescribeModel implements modelswap.Deployer: what is in Platform, or what
// was recorded.
func (b *Backend) DescribeModel(_ context.Context, name string) (modelswap.Model, error) {
	if err := b.before("DescribeModel"); err != nil {
		return modelswap.Model{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, models := range []map[string]modelswap.Model{b.Platform, b.models} {
		if m, ok := models[name]; ok {
			return m, nil
		}
	}
	return modelswap.Model{}, failure.Errorf(failure.NotFound, "there is no model %q", name)
}

// LearnedFigures implements modelswap.Deployer: what is in Learned.
func (b *Backend) LearnedFigures(context.Context, string, modelswap.HeldOut) (modelswap.LearnedFigures, error) {
	if err := b.before("LearnedFigures"); err != nil {
		return modelswap.LearnedFigures{}, err
	}
	return b.Learned, nil
}

// ScoreWith implements modelswap.Deployer.
func (b *Backend) ScoreWith(_ context.Context, name string, rows []schema.Vector) ([]float64, error) {
	if err := b.before("ScoreWith"); err != nil {
		return nil, err
	}
	scores := make([]float64, len(rows))
	for i, row := range rows {
		scores[i] = b.score(name, row)
	}
	return scores, nil
}

// StopScoring implements modelswap.Deployer.
func (b *Backend) StopScoring(context.Context, string) error { return b.before("StopScoring") }

func (b *Backend) score(name string, row schema.Vector) float64 {
	if b.Score != nil {
		return b.Score(name, row)
	}
	return 1 / (1 + row[0])
}

// DeployModel implements modelswap.Deployer.
func (b *Backend) DeployModel(_ context.Context, c modelswap.Change) (int64, error) {
	if err := b.before("DeployModel"); err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := c.Check(b.serving, b.holder); err != nil {
		return 0, err
	}
	b.serve(c.Model, c.NextVersion(time.Now(), b.serving.Version))
	b.holder = c.By
	return b.serving.Version, nil
}

// HoldServing implements modelswap.Deployer.
func (b *Backend) HoldServing(_ context.Context, c modelswap.Change) error {
	if err := b.before("HoldServing"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := c.Check(b.serving, b.holder); err != nil {
		return err
	}
	b.holder = c.By
	return nil
}

// Serving implements modelswap.Deployer.
func (b *Backend) Serving(context.Context) (modelswap.Serving, error) {
	changing := b.Changing != nil && b.Changing()
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.serving
	now.Changing = changing
	return now, nil
}

// RemoveModel implements modelswap.Deployer.
func (b *Backend) RemoveModel(_ context.Context, name string) error {
	if err := b.before("RemoveModel"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.serving.Model == name {
		return failure.Errorf(failure.Conflict, "model %s serves", name)
	}
	return nil
}

// live is the live path: a predict.Scorer.
type live struct{ b *Backend }

func (l live) Score(ctx context.Context, rows []schema.Vector, _ bool) (predict.Scores, error) {
	if err := l.b.before("Score"); err != nil {
		return predict.Scores{}, err
	}
	serving, err := l.b.Serving(ctx)
	if err != nil {
		return predict.Scores{}, err
	}
	name := serving.Model
	out := predict.Scores{Model: name, Schema: l.b.Schema.Fingerprint(), Label: make([]int, len(rows))}
	for _, row := range rows {
		out.Score = append(out.Score, l.b.score(name, row))
	}
	if l.b.Live != nil {
		out = l.b.Live(out)
	}
	return out, nil
}
