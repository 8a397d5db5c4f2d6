package local

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"gateway/internal/learn"
	"gateway/internal/modelswap"
	"gateway/internal/outage"
	"gateway/internal/schema"
)

// Store stores models and the name of the serving model. Package store implements it.
type Store interface {
	// PutArtifact stores the artifact of a model. If there is a different one, the error
	// is a *failure.Error of kind Conflict.
	PutArtifact(ctx context.Context, name string, body []byte) error
	// Artifact returns the artifact of a model. If there is none, the error is a
	// *failure.Error of kind NotFound.
	Artifact(ctx context.Context, name string) ([]byte, error)
	// RemoveArtifact removes the artifact of a model. While the model serves, the error
	// is a *failure.Error of kind Conflict.
	RemoveArtifact(ctx context.Context, name string) error
	// SetServing records that a model serves at an endpoint for gateways of a schema, and
	// returns the new version. Its errors are those of modelswap.Change.Check.
	SetServing(ctx context.Context, endpoint, schema string, c modelswap.Change) (version int64, err error)
	// HoldServing is modelswap.Deployer.HoldServing for an endpoint and a schema.
	HoldServing(ctx context.Context, endpoint, schema string, c modelswap.Change) error
	// Serving returns the serving model that SetServing has recorded.
	Serving(ctx context.Context, endpoint, schema string) (modelswap.Serving, error)
}

// Deployer implements modelswap.Deployer. The database names the serving model, and the
// Deployer sets the model of the Scorer accordingly.
type Deployer struct {
	store    Store
	files    fs.FS // with the artifacts of training jobs
	endpoint string
	schema   string // fingerprint of the gateway's schema
	scorer   *Scorer

	swap   sync.Mutex // held while the row and the pointer change
	failed failedLoad // guarded by swap

	mu     sync.Mutex
	loaded map[string]*loaded // models in memory, by name
}

// NewDeployer makes a deployer for one endpoint. It reads the artifacts of training jobs from
// files.
func NewDeployer(store Store, files fs.FS, endpoint string, schema *schema.Schema, scorer *Scorer) *Deployer {
	return &Deployer{store: store, files: files, endpoint: endpoint, schema: schema.Fingerprint(),
		scorer: scorer, loaded: make(map[string]*loaded)}
}

// failedLoad is the last failure to load a model.
type failedLoad struct {
	serving modelswap.Serving
	at      time.Time
	err     error
}

// loadAgain is the time after a failure to load a model until the next attempt.
const loadAgain = 10 * time.Second

// Restore loads the model that the database names and makes the Scorer use it. It returns the
// name, which is empty if no model has served yet. If the model cannot be loaded, the present
// model goes on serving; without one, the errors of the Scorer name the reason.
func (d *Deployer) Restore(ctx context.Context) (string, error) {
	d.swap.Lock()
	defer d.swap.Unlock()
	serving, err := d.store.Serving(ctx, d.endpoint, d.schema)
	name := serving.Model
	if err != nil || name == "" {
		return "", err
	}
	if f := d.failed; f.err != nil && f.serving == serving && time.Since(f.at) < loadAgain {
		return name, f.err
	}
	l, err := d.load(ctx, name)
	if err != nil {
		err = fmt.Errorf("model %s: %w", name, err)
		why := fmt.Sprintf("the serving model cannot be loaded: %v", err)
		d.scorer.missing.Store(&why)
		d.failed = failedLoad{serving, time.Now(), err}
		return name, err
	}
	d.scorer.serving.Store(l)
	return name, nil
}

// Follow reads the name of the serving model from the database at the given interval until
// ctx ends. If another process has changed it, Follow makes the Scorer use the new model.
// While that fails, the present model goes on serving.
func (d *Deployer) Follow(ctx context.Context, every time.Duration, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var looks outage.Outage
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := d.catchUp(ctx); ctx.Err() == nil {
			looks.Record(log, err, "cannot read or load the model that the database names; the present model goes on serving; trying again",
				"the model that the database names can be read and loaded again")
		}
	}
}

func (d *Deployer) catchUp(ctx context.Context) error {
	serving, err := d.store.Serving(ctx, d.endpoint, d.schema)
	if err != nil || serving.Model == "" {
		return err
	}
	if l := d.scorer.serving.Load(); l != nil && l.name == serving.Model {
		return nil
	}
	_, err = d.Restore(ctx)
	return err
}

// RegisterModel implements modelswap.Deployer. It copies the artifact from its file to the
// database, because the files of a renewal are removed.
func (d *Deployer) RegisterModel(ctx context.Context, name, artifact, schema string) error {
	body, err := fs.ReadFile(d.files, artifact)
	if err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	if _, err := decode(name, schema, body); err != nil {
		return err
	}
	return d.store.PutArtifact(ctx, name, body)
}

// DescribeModel implements modelswap.Deployer.
func (d *Deployer) DescribeModel(ctx context.Context, name string) (modelswap.Model, error) {
	body, err := d.store.Artifact(ctx, name)
	if err != nil {
		return modelswap.Model{}, err
	}
	a, err := learn.Decode(bytes.NewReader(body))
	if err != nil {
		return modelswap.Model{}, err
	}
	return modelswap.Model{Name: name, Algorithm: string(a.Algorithm), Schema: a.Schema, Data: a.Data, Rows: a.Rows,
		Parameters: a.Hyperparameters, Metrics: a.Metrics, CreatedAt: a.CreatedAt}, nil
}

// LearnedFigures implements modelswap.Deployer. The artifact has them.
func (d *Deployer) LearnedFigures(ctx context.Context, name string, _ modelswap.HeldOut) (modelswap.LearnedFigures, error) {
	body, err := d.store.Artifact(ctx, name)
	if err != nil {
		return modelswap.LearnedFigures{}, err
	}
	a, err := learn.Decode(bytes.NewReader(body))
	if err != nil {
		return modelswap.LearnedFigures{}, err
	}
	return modelswap.LearnedFigures{Figures: a.Figures, Search: a.Model.Search(), Model: a.Model,
		Why: "training could not compute it: all held-out rows have the same label"}, nil
}

// decode decodes an artifact and checks its name and its schema.
func decode(name, schema string, body []byte) (*loaded, error) {
	a, err := learn.Decode(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if err := a.CheckSchema(schema); err != nil {
		return nil, err
	}
	if a.Name != name {
		return nil, fmt.Errorf("the artifact belongs to model %q: %w", a.Name, learn.ErrArtifact)
	}
	return &loaded{name: a.Name, schema: a.Schema, model: a.Model}, nil
}

// load returns a registered model. It caches the last few.
func (d *Deployer) load(ctx context.Context, name string) (*loaded, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.loaded[name]; l != nil {
		return l, nil
	}
	body, err := d.store.Artifact(ctx, name)
	if err != nil {
		return nil, err
	}
	l, err := decode(name, d.schema, body)
	if err != nil {
		return nil, err
	}
	const maxLoaded = 4 // champion and challenger of this renewal and of the one before
	if len(d.loaded) >= maxLoaded {
		clear(d.loaded)
	}
	d.loaded[name] = l
	return l, nil
}

// RemoveModel implements modelswap.Deployer.
func (d *Deployer) RemoveModel(ctx context.Context, name string) error {
	if err := d.store.RemoveArtifact(ctx, name); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.loaded, name)
	return nil
}

// ScoreWith implements modelswap.Deployer.
func (d *Deployer) ScoreWith(ctx context.Context, name string, rows []schema.Vector) ([]float64, error) {
	l, err := d.load(ctx, name)
	if err != nil {
		return nil, err
	}
	scores := make([]float64, len(rows))
	for i, row := range rows {
		if i%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		scores[i] = l.model.Score(row)
	}
	return scores, nil
}

// StopScoring implements modelswap.Deployer. It does nothing, because no work continues
// after ScoreWith has returned.
func (d *Deployer) StopScoring(context.Context, string) error { return nil }

// DeployModel implements modelswap.Deployer. It changes the row in the database first. If the
// process dies afterwards, Restore sets the model at the next start.
func (d *Deployer) DeployModel(ctx context.Context, c modelswap.Change) (version int64, err error) {
	l, err := d.load(ctx, c.Model)
	if err != nil {
		return 0, err
	}
	d.swap.Lock()
	defer d.swap.Unlock()
	version, err = d.store.SetServing(ctx, d.endpoint, d.schema, c)
	if err != nil {
		return 0, err
	}
	d.scorer.serving.Store(l)
	return version, nil
}

// HoldServing implements modelswap.Deployer.
func (d *Deployer) HoldServing(ctx context.Context, c modelswap.Change) error {
	return d.store.HoldServing(ctx, d.endpoint, d.schema, c)
}

// Serving implements modelswap.Deployer. A deployment is one transaction, so Changing is
// always false.
func (d *Deployer) Serving(ctx context.Context) (modelswap.Serving, error) {
	return d.store.Serving(ctx, d.endpoint, d.schema)
}
