package modelswaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Platform is what a back end fills.
type Platform struct {
	Files    modelswap.Files
	Trainer  modelswap.Trainer
	Deployer modelswap.Deployer
	Scorer   predict.Scorer
	Schema   *schema.Schema
}

// TestPlatform checks what the ports of every back end must do, in the order
// in which a renewal calls them. open returns one that has served no model and
// lives as long as the test; its schema has two features that are numbers.
func TestPlatform(t *testing.T, open func(t *testing.T) Platform) {
	t.Run("files appear whole, are replaced, and go with their folder", func(t *testing.T) {
		p := open(t)
		write := func(name, text string, fail error) error {
			return p.Files.WriteFile(t.Context(), name, func(w io.Writer) error {
				if _, err := io.WriteString(w, text); err != nil {
					return err
				}
				return fail
			})
		}
		read := func(name string) (string, error) {
			text, err := fs.ReadFile(p.Files.FS(t.Context()), name)
			return string(text), err
		}
		failed := errors.New("the writer failed")
		if err := write("a/b/file", "first", failed); !errors.Is(err, failed) {
			t.Errorf("a writer that fails: %v", err)
		}
		if _, err := read("a/b/file"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file that was not written: %v", err)
		}
		for _, text := range []string{"first", "second", ""} {
			if err := write("a/b/file", text, nil); err != nil {
				t.Fatal(err)
			}
			if got, err := read("a/b/file"); got != text || err != nil {
				t.Errorf("read %q, %v; want %q", got, err, text)
			}
		}
		if err := write("a/bc/file", "beside", nil); err != nil {
			t.Fatal(err)
		}
		entries, err := fs.ReadDir(p.Files.FS(t.Context()), "a")
		if err != nil || len(entries) != 2 || entries[0].Name() != "b" || !entries[0].IsDir() {
			t.Errorf("the folder has %v, %v", entries, err)
		}
		for range 2 { // one that is not there is no error
			if err := p.Files.RemoveAll(t.Context(), "a/b"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := read("a/b/file"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file that was removed: %v", err)
		}
		if got, err := read("a/bc/file"); got != "beside" {
			t.Errorf("the file beside is %q, %v", got, err)
		}
		for _, bad := range []string{"", ".", "../x", "/x", "a//b"} {
			if err := write(bad, "x", nil); err == nil {
				t.Errorf("%q was written", bad)
			}
		}
	})
	t.Run("nothing serves at first", func(t *testing.T) {
		p := open(t)
		if now, err := p.Deployer.Serving(t.Context()); now != (modelswap.Serving{}) || err != nil {
			t.Errorf("%+v, %v", now, err)
		}
		var e *failure.Error
		if _, err := p.Scorer.Score(t.Context(), platformRows(1), false); !errors.As(err, &e) || e.Kind != failure.Unavailable {
			t.Errorf("a score of no model: %v", err)
		}
		if _, err := p.Deployer.DeployModel(t.Context(), modelswap.Change{Model: "nothing"}); !errors.As(err, &e) || e.Kind != failure.NotFound {
			t.Errorf("deploying no model: %v", err)
		}
		if _, err := p.Deployer.ScoreWith(t.Context(), "nothing", platformRows(1)); !errors.As(err, &e) || e.Kind != failure.NotFound {
			t.Errorf("scoring with no model: %v", err)
		}
		if err := p.Deployer.RemoveModel(t.Context(), "nothing"); err != nil {
			t.Errorf("removing no model: %v", err)
		}
		if status, err := p.Trainer.TrainingStatus(t.Context(), "nothing"); status.State != modelswap.TrainingLost || err != nil {
			t.Errorf("a job that was never started is %s, %v", status.State, err)
		}
		if err := p.Trainer.StopTraining(t.Context(), "nothing"); err != nil {
			t.Errorf("stopping no job: %v", err)
		}
		if err := p.Deployer.StopScoring(t.Context(), "nothing"); err != nil {
			t.Errorf("stopping the evaluations of no model: %v", err)
		}
	})
	t.Run("models are trained, registered, evaluated and swapped, each step twice", func(t *testing.T) {
		p := open(t)
		ctx := t.Context()
		rows := platformRows(60)
		want := map[string][]float64{}
		for i, model := range []string{"first", "second"} {
			p.trained(t, model, 400+200*i)
			for range 2 {
				scores, err := p.Deployer.ScoreWith(ctx, model, rows)
				if err != nil || len(scores) != len(rows) {
					t.Fatalf("%d scores, %v", len(scores), err)
				}
				want[model] = scores
			}
			p.describes(t, model, rows, want[model])
			for range 2 {
				p.deploy(t, model)
			}
			p.serves(t, model)
			out, err := p.Scorer.Score(ctx, rows, false)
			if err != nil || out.Model != model || out.Schema != p.Schema.Fingerprint() || len(out.Score) != len(rows) || len(out.Label) != len(rows) {
				t.Fatalf("the live path: %+v, %v", out, err)
			}
			for k, x := range out.Score {
				if math.Abs(x-want[model][k]) > 1e-6 {
					t.Errorf("row %d scores %v live, %v with the model", k, x, want[model][k])
				}
			}
		}
		var e *failure.Error
		if err := p.Deployer.RemoveModel(ctx, "second"); !errors.As(err, &e) || e.Kind != failure.Conflict {
			t.Errorf("removing the model that serves: %v", err)
		}
		p.deploy(t, "first") // back
		p.serves(t, "first")
		for range 2 {
			if err := p.Deployer.RemoveModel(ctx, "second"); err != nil {
				t.Errorf("removing a model that has served: %v", err)
			}
		}
		now, err := p.Deployer.Serving(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Deployer.DeployModel(ctx, modelswap.Change{Model: "second", Over: now}); !errors.As(err, &e) || e.Kind != failure.NotFound {
			t.Errorf("deploying a model that was removed: %v", err)
		}
	})
	t.Run("a model of another schema is not registered", func(t *testing.T) {
		p := open(t)
		job := p.job(t, "first", 400)
		artifact := p.train(t, job)
		if err := p.Deployer.RegisterModel(t.Context(), "first", artifact, "another schema"); err == nil {
			t.Error("it was")
		}
	})
}

// platformRows are rows in which the first number decides.
func platformRows(n int) []schema.Vector {
	rows := make([]schema.Vector, n)
	for i := range rows {
		rows[i] = schema.Vector{float64((i * 37) % 100), float64(i % 7)}
	}
	return rows
}

// job writes data and asks for a model of it.
func (p Platform) job(t *testing.T, model string, n int) modelswap.TrainingJob {
	t.Helper()
	var text bytes.Buffer
	for i, row := range platformRows(n) {
		label := 0
		if row[0]+5*row[1]+float64(i%11) > 70 {
			label = 1
		}
		text.Write(append(schema.AppendTrainingCSV(nil, label, row), '\n'))
	}
	folder := "renewals/" + model
	for _, name := range []string{"train.csv", "holdout.csv"} {
		if err := p.Files.WriteFile(t.Context(), folder+"/"+name, func(w io.Writer) error { _, err := w.Write(text.Bytes()); return err }); err != nil {
			t.Fatal(err)
		}
	}
	return modelswap.TrainingJob{Name: model + "-1", Model: model, Algorithm: "linear-learner", MaxRuntime: 24 * time.Hour,
		Train: folder + "/train.csv", Holdout: folder + "/holdout.csv", Rows: n, Columns: p.Schema.Columns(), Features: p.Schema.Columns(),
		Schema: p.Schema.Fingerprint(), Data: fmt.Sprintf("data of %d rows", n)}
}

// train runs a job, asked for twice, and returns its artifact.
func (p Platform) train(t *testing.T, job modelswap.TrainingJob) (artifact string) {
	t.Helper()
	for range 2 {
		if err := p.Trainer.StartTraining(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	}
	p.until(t, "the job is done", func(ctx context.Context) bool {
		status, err := p.Trainer.TrainingStatus(ctx, job.Name)
		if err != nil || status.State == modelswap.TrainingFailed || status.State == modelswap.TrainingLost {
			t.Fatalf("the job is %s: %s (%v)", status.State, status.Reason, err)
		}
		artifact = status.Artifact
		return status.State == modelswap.TrainingSucceeded
	})
	return artifact
}

func (p Platform) trained(t *testing.T, model string, n int) {
	t.Helper()
	artifact := p.train(t, p.job(t, model, n))
	for range 2 {
		if err := p.Deployer.RegisterModel(t.Context(), model, artifact, p.Schema.Fingerprint()); err != nil {
			t.Fatal(err)
		}
	}
}

// describes checks what the platform tells of a linear model that goes by z more than by x.
func (p Platform) describes(t *testing.T, model string, rows []schema.Vector, scores []float64) {
	t.Helper()
	held := modelswap.HeldOut{Rows: rows, Scores: scores, Features: p.Schema.Columns()}
	for _, row := range rows {
		label := 0.0
		if row[0]+5*row[1] > 65 {
			label = 1
		}
		held.Labels = append(held.Labels, label)
	}
	learned, err := p.Deployer.LearnedFigures(t.Context(), model, held)
	if err != nil || learned.Figures == nil {
		t.Fatalf("no figures: %q (%v)", learned.Why, err)
	}
	if learned.Model == nil || learned.Model.Explains() != nil || len(learned.Model.Contributions(rows[0])) != len(rows[0]) {
		t.Errorf("the model does not explain a row: %+v", learned.Model)
	}
	f := learned.Figures
	if len(f.Importance) != 2 || !(f.Importance[0].LogLoss > 0) || len(f.Coefficients) != 2 || !(f.Coefficients[0].Value > 0 && f.Coefficients[1].Value > f.Coefficients[0].Value) {
		t.Errorf("got figures %+v", f)
	}
}

// deploy makes a model serve in the place of what serves.
func (p Platform) deploy(t *testing.T, model string) {
	t.Helper()
	now, err := p.Deployer.Serving(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Deployer.DeployModel(t.Context(), modelswap.Change{Model: model, Over: now}); err != nil {
		t.Fatal(err)
	}
}

func (p Platform) serves(t *testing.T, model string) {
	t.Helper()
	p.until(t, model+" serves", func(ctx context.Context) bool {
		now, err := p.Deployer.Serving(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return now.Model == model && !now.Changing
	})
}

// until asks again and again.
func (p Platform) until(t *testing.T, what string, is func(context.Context) bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for !is(t.Context()) {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatalf("it is never so that %s", what)
		}
	}
}
