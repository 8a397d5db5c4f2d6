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

// Store keeps models and the name of the one that serves. Package store has it.
type Store interface {
	// PutArtifact keeps a model's artifact under its name; *failure.Error of kind
	// Conflict if there is another one.
	PutArtifact(ctx context.Context, name string, body []byte) error
	// Artifact returns it; *failure.Error of kind NotFound if there is none.
	Artifact(ctx context.Context, name string) ([]byte, error)
	// RemoveArtifact removes it; *failure.Error of kind Conflict while it serves.
	RemoveArtifact(ctx context.Context, name string) error
	// SetServing makes a model serve at an endpoint for gateways of a schema,
	// durably, and returns the version that it serves with. It has the errors of
	// modelswap.Change.Check.
	SetServing(ctx context.Context, endpoint, schema string, c modelswap.Change) (version int64, err error)
	// HoldServing is modelswap.Deployer.HoldServing for an endpoint and a schema.
	HoldServing(ctx context.Context, endpoint, schema string, c modelswap.Change) error
	// Serving returns what SetServing has made serve.
	Serving(ctx context.Context, endpoint, schema string) (modelswap.Serving, error)
}

// Deployer implements modelswap.Deployer. The database says which model
// serves; the Scorer's pointer follows it.
type Deployer struct {
	store    Store
	files    fs.FS // where the trainer leaves artifacts
	endpoint string
	schema   string // fingerprint of the gateway's schema
	scorer   *Scorer

	swap   sync.Mutex // row and pointer change together
	failed failedLoad // held by swap

	mu     sync.Mutex
	loaded map[string]*loaded // the few models in memory, by name
}

// NewDeployer makes a deployer for one endpoint. Artifacts of training jobs
// are read from files.
func NewDeployer(store Store, files fs.FS, endpoint string, schema *schema.Schema, scorer *Scorer) *Deployer {
	return &Deployer{store: store, files: files, endpoint: endpoint, schema: schema.Fingerprint(),
		scorer: scorer, loaded: make(map[string]*loaded)}
}

// failedLoad is the newest model that could not be loaded.
type failedLoad struct {
	serving modelswap.Serving
	at      time.Time
	err     error
}

// loadAgain is how long a model that could not be loaded is not loaded again.
const loadAgain = 10 * time.Second

// Restore puts the model that the database names into service. It returns its
// name, empty if no model has served yet. Where the model cannot be loaded, the
// one that serves goes on serving; without one, the scorer's errors say why.
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
		why := fmt.Sprintf("the model that is to serve cannot be loaded: %v", err)
		d.scorer.missing.Store(&why)
		d.failed = failedLoad{serving, time.Now(), err}
		return name, err
	}
	d.scorer.serving.Store(l)
	return name, nil
}

// Follow looks, until ctx ends, which model the database names, and puts it
// into service here where another process has changed it. While that fails, the
// model that serves goes on serving.
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

// RegisterModel implements modelswap.Deployer: the artifact goes from its file
// into the database, where it outlives the renewal's files.
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

// decode reads an artifact and holds it against what is expected of it.
func decode(name, schema string, body []byte) (*loaded, error) {
	a, err := learn.Decode(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if err := a.CheckSchema(schema); err != nil {
		return nil, err
	}
	if a.Name != name {
		return nil, fmt.Errorf("the artifact is that of model %q: %w", a.Name, learn.ErrArtifact)
	}
	return &loaded{name: a.Name, schema: a.Schema, model: a.Model}, nil
}

// load returns a registered model, from memory if it is there.
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
	const most = 4 // champion and challenger, and those of the renewal before
	if len(d.loaded) >= most {
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

// StopScoring implements modelswap.Deployer. Nothing goes on after ScoreWith.
func (d *Deployer) StopScoring(context.Context, string) error { return nil }

// DeployModel implements modelswap.Deployer. The row comes first: if the
// process dies after it, Restore finishes the work at the next start.
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

// Serving implements modelswap.Deployer. A swap is one step here, so a change
// is never under way.
func (d *Deployer) Serving(ctx context.Context) (modelswap.Serving, error) {
	return d.store.Serving(ctx, d.endpoint, d.schema)
}
