package modelswap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/outage"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Ports are the back end of an engine.
type Ports struct {
	Renewals  Renewals
	Models    Models
	Schedules Schedules
	Traffic   Traffic
	Exporter  Exporter
	Converter Converter // nil: the engine converts
	Files     Files
	Trainer   Trainer
	Deployer  Deployer
	Scorer    predict.Scorer // the live path, which `verify` calls
	Profiles  Profiles       // nil: nothing is kept of the data
}

// Options are the settings of an engine.
type Options struct {
	Schema          *schema.Schema
	Algorithm       string            // empty: linear-learner
	Custom          bool              // the platform has a container image for the algorithm "custom"
	Auto            bool              // the platform can choose the algorithm, which is then "auto"
	Hyperparameters map[string]string // for Algorithm
	MaxRuntime      time.Duration     // maximum time of a training job; zero: an hour
	Gate            Gate              // the zero Gate lets every challenger pass
	MaxShift        float64           // how far the scores of recent traffic may shift (see drift.go) before `verify` restores the champion; zero: any
	Schedule        string            // as ParseSchedule reads it; empty: no schedule
	Outcomes        int64             // number of new outcomes that starts a renewal; zero: outcomes start none
	KnownOnly       bool              // learn only from customers that were imported, not from those made from predictions
	Probation       time.Duration     // how long an outcome is on probation: compared with the imported label and capped by caller; zero: for ever
	Alarm           func() *Alarm     // returns the present alarm, nil for none; a nil function: alarms start nothing
	AlarmAgain      time.Duration     // how long after a renewal with a trigger of alarms no alarm starts another one with that trigger; zero: 24 hours
	AlarmPause      time.Duration     // how long an alarm starts no renewal after one that an alarm started and that made no new model; zero: 7 days
	ManualOnly      bool              // start no renewal by schedule or outcomes, and leave the stored schedule unchanged
	KeepModels      int               // retired models that are kept for a rollback; zero: 5
	Poll            time.Duration     // time between polls of a job; zero: 200 ms
	Owner           string            // names this engine in leases; must be unique; empty: a new name
	Heartbeat       time.Duration     // time between extensions of the lease; zero: a third of it
	TempDir         string            // directory for rows that exceed the conversion's memory
	Ended           func(*Renewal)    // called after a renewal that this engine ended was saved; may be nil
	MaxPause        time.Duration     // maximum pause between tries; zero: the class of error decides
	Now             func() time.Time  // the clock of records, schedules and limits of steps; nil: time.Now. Pauses pass in real time
	NewID           func() string     // makes ids of renewals that sort by time; nil: failure.NewID
}

// CustomAlgorithm is the name of the algorithm of a user's own container image.
const CustomAlgorithm = "custom"

// Engine runs renewals. One Run loop works on them; the other methods are safe to
// call from any goroutine.
type Engine struct {
	ports   Ports
	opts    Options
	log     *slog.Logger
	metrics *metrics
	counted outcomeCount  // used by keepTime only
	tidying outage.Outage // of the removal of old files
	wake    chan struct{} // holds a token while there may be work
}

// New makes an engine. It is idle until Run is called.
func New(ports Ports, opts Options, log *slog.Logger, reg prometheus.Registerer) *Engine {
	opts.Algorithm = cmp.Or(opts.Algorithm, string(learn.LinearLearner))
	opts.MaxRuntime = cmp.Or(opts.MaxRuntime, time.Hour)
	opts.Poll = cmp.Or(opts.Poll, 200*time.Millisecond)
	opts.Owner = cmp.Or(opts.Owner, failure.NewID())
	opts.Heartbeat = cmp.Or(opts.Heartbeat, leaseTime/3)
	opts.MaxPause = cmp.Or(opts.MaxPause, time.Hour)
	opts.KeepModels = cmp.Or(opts.KeepModels, 5)
	opts.AlarmAgain = cmp.Or(opts.AlarmAgain, 24*time.Hour)
	opts.AlarmPause = cmp.Or(opts.AlarmPause, 7*24*time.Hour)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.NewID == nil {
		opts.NewID = failure.NewID
	}
	return &Engine{ports: ports, opts: opts, log: log, metrics: newMetrics(reg), wake: make(chan struct{}, 1)}
}

// TriggerRequest asks for a renewal.
type TriggerRequest struct {
	ID        string // the renewal's id, if it was chosen beforehand; empty: a new one
	Trigger   string // TriggerManual and so on; empty: manual
	Reason    string // text of the operator
	Overrides Overrides
	Force     bool // deploy even if the challenger loses
}

const maxReason = 1000

// Trigger stores a new renewal, which Run then works on. Errors are
// *failure.Error: Invalid for an invalid override; Conflict, naming it, while
// another renewal is unfinished. If a renewal with the requested ID exists, it is
// returned in its present state and nothing is stored.
func (e *Engine) Trigger(ctx context.Context, req TriggerRequest) (*Renewal, error) {
	if req.ID == "" {
		return e.trigger(ctx, req)
	}
	if made, err := e.made(ctx, req.ID); made != nil || err != nil {
		return made, err
	}
	r, err := e.trigger(ctx, req)
	if err == nil {
		return r, nil
	}
	// An earlier request with the same idempotency key may have stored it.
	if made, _ := e.made(ctx, req.ID); made != nil {
		return made, nil
	}
	return nil, err
}

// made returns the renewal with this id, or nil if there is none.
func (e *Engine) made(ctx context.Context, id string) (*Renewal, error) {
	r, err := e.ports.Renewals.Renewal(ctx, id)
	var known *failure.Error
	if errors.As(err, &known) && known.Kind == failure.NotFound {
		return nil, nil
	}
	return r, err
}

func (e *Engine) trigger(ctx context.Context, req TriggerRequest) (*Renewal, error) {
	if violations := e.check(req); len(violations) > 0 {
		return nil, &failure.Error{Kind: failure.Invalid, Detail: "the renewal cannot be started like this", Violations: violations}
	}
	r := e.newRenewal(req)
	if err := e.ports.Renewals.InsertRenewal(ctx, r); err != nil {
		return nil, err
	}
	e.log.Info("renewal queued", "renewal", r.ID, "trigger", r.Trigger)
	e.wakeUp()
	return r, nil
}

// newRenewal makes a renewal without storing it.
func (e *Engine) newRenewal(req TriggerRequest) *Renewal {
	now := e.opts.Now().UTC().Truncate(time.Millisecond)
	id := req.ID
	if id == "" {
		id = e.opts.NewID()
	}
	r := &Renewal{
		ID: id, Status: Queued, Trigger: cmp.Or(req.Trigger, TriggerManual), Reason: req.Reason,
		Overrides: req.Overrides, Force: req.Force, CreatedAt: now,
		State: State{Schema: e.opts.Schema.Fingerprint(), Model: modelName(e.opts.Schema.Name, id, now, 0)},
	}
	for _, name := range Order() {
		r.Steps = append(r.Steps, Step{Name: name, Status: StepPending, Detail: map[string]any{}})
	}
	return r
}

// wakeUp makes Run look for work at once.
func (e *Engine) wakeUp() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// check validates a request before anything runs.
func (e *Engine) check(req TriggerRequest) []failure.Violation {
	var violations []failure.Violation
	add := func(field, format string, args ...any) {
		violations = append(violations, failure.Violation{Field: field, Code: failure.CodeFormat, Detail: fmt.Sprintf(format, args...)})
	}
	if len(req.Reason) > maxReason {
		add("reason", "must be at most %d bytes", maxReason)
	}
	algorithm, parameters := e.training(req.Overrides)
	switch learn.Algorithm(algorithm) {
	case learn.Auto:
		if !e.opts.Auto {
			add("/overrides/training/algorithm", "auto is for GATEWAY_PLATFORM=local: must be linear-learner or xgboost")
			break
		}
		fallthrough
	case learn.LinearLearner, learn.XGBoost:
		if err := learn.CheckHyperparameters(learn.Algorithm(algorithm), parameters); err != nil {
			add("/overrides/hyperparameters", "%v", err)
		}
	case CustomAlgorithm:
		if !e.opts.Custom { // The platform does not validate hyperparameters of a custom image.
			add("/overrides/training/algorithm", "there is no image for %q", algorithm)
		}
	default:
		add("/overrides/training/algorithm", "must be %s, not %q", e.algorithms(), algorithm)
	}
	if text := req.Overrides.Training.MaxRuntime; text != "" {
		if d, err := time.ParseDuration(text); err != nil || d <= 0 {
			add("/overrides/training/max_runtime", "must be a duration above zero, such as 30m")
		}
	}
	if req.Overrides.Training.InstanceCount < 0 {
		add("/overrides/training/instance_count", "must be at least 1")
	}
	if text := req.Overrides.Gate; text != "" {
		if _, err := ParseGate(text); err != nil {
			add("/overrides/gate", "%v", err)
		}
	}
	if by := req.Overrides.JudgeBy; by != "" && by != JudgeByKnown && by != JudgeByAll {
		add("/overrides/judge_by", "must be %s or %s, not %q", JudgeByKnown, JudgeByAll, by)
	}
	return violations
}

// training merges overrides into the settings. The settings' hyperparameters
// belong to the settings' algorithm; another algorithm starts with its defaults.
func (e *Engine) training(o Overrides) (algorithm string, parameters map[string]string) {
	algorithm = cmp.Or(o.Training.Algorithm, e.opts.Algorithm)
	parameters = make(map[string]string)
	if algorithm == e.opts.Algorithm {
		maps.Copy(parameters, e.opts.Hyperparameters)
	}
	maps.Copy(parameters, o.Hyperparameters)
	return algorithm, parameters
}

// algorithms lists those that a renewal may ask for.
func (e *Engine) algorithms() string {
	if e.opts.Auto {
		return "auto, linear-learner or xgboost"
	}
	return "linear-learner or xgboost"
}

// Renewal returns one renewal.
func (e *Engine) Renewal(ctx context.Context, id string) (*Renewal, error) {
	return e.ports.Renewals.Renewal(ctx, id)
}

// Renewals returns at most limit renewals, newest first, older than the one named
// before. An empty before begins with the newest.
func (e *Engine) Renewals(ctx context.Context, limit int, before string) ([]*Renewal, error) {
	return e.ports.Renewals.Renewals(ctx, limit, before)
}

// Models returns all models, newest first, and marks the one that serves.
func (e *Engine) Models(ctx context.Context) ([]Model, error) {
	models, _, err := e.models(ctx)
	return models, err
}

func (e *Engine) models(ctx context.Context) ([]Model, Serving, error) {
	models, err := e.ports.Models.Models(ctx)
	if err != nil {
		return nil, Serving{}, err
	}
	serving, err := e.ports.Deployer.Serving(ctx)
	if err != nil {
		return nil, Serving{}, err
	}
	recorded := serving.Model == ""
	for i := range models {
		models[i].Serving = models[i].Name == serving.Model
		recorded = recorded || models[i].Serving
	}
	if !recorded {
		m, found, err := e.unrecorded(ctx, serving)
		if err != nil {
			return nil, Serving{}, err
		}
		if found {
			m.Serving = true
			models = append([]Model{m}, models...)
		}
	}
	return models, serving, nil
}

// unrecorded makes a record for a serving model that has none: it was made
// elsewhere, or the database was lost. The error has kind NotFound where the
// platform has no model of the name, or one of another schema.
func (e *Engine) unrecorded(ctx context.Context, serving Serving) (m Model, found bool, err error) {
	m, err = e.ports.Deployer.DescribeModel(ctx, serving.Model)
	var known *failure.Error
	switch {
	case errors.As(err, &known) && known.Kind == failure.NotFound, errors.Is(err, learn.ErrArtifact):
		return Model{}, false, nil
	case err != nil || m.Schema != e.opts.Schema.Fingerprint():
		return Model{}, false, err
	}
	since := serving.Since()
	m.DeployedAt = &since
	return m, true, nil
}

// adopt records the serving model if it has no record yet.
func (e *Engine) adopt(ctx context.Context) error {
	serving, err := e.ports.Deployer.Serving(ctx)
	if err != nil || serving.Model == "" {
		return err
	}
	if known, err := e.model(ctx, serving.Model); known != nil || err != nil {
		return err
	}
	m, found, err := e.unrecorded(ctx, serving)
	if !found || err != nil {
		return err
	}
	if err := e.ports.Models.InsertModel(ctx, m, Fence{}); err != nil {
		return err
	}
	e.log.Info("the serving model was made elsewhere; recording it", "model", m.Name)
	return nil
}

// model returns a model's record, or nil if there is none.
func (e *Engine) model(ctx context.Context, name string) (*Model, error) {
	m, err := e.ports.Models.Model(ctx, name)
	var known *failure.Error
	if errors.As(err, &known) && known.Kind == failure.NotFound {
		return nil, nil
	}
	return m, err
}

// Serving returns the name of the serving model, empty for none.
func (e *Engine) Serving(ctx context.Context) (string, error) {
	serving, err := e.ports.Deployer.Serving(ctx)
	return serving.Model, err
}

// servingModel returns the record of the serving model, or nil if no model serves
// or it has no record.
func (e *Engine) servingModel(ctx context.Context) (*Model, error) {
	serving, err := e.ports.Deployer.Serving(ctx)
	if err != nil || serving.Model == "" {
		return nil, err
	}
	return e.model(ctx, serving.Model)
}

// servingWatermark returns the number of the newest outcome in the training data
// of the serving model.
func (e *Engine) servingWatermark(ctx context.Context) (int64, error) {
	m, err := e.servingModel(ctx)
	if m == nil || err != nil {
		return 0, err
	}
	return m.Watermark, nil
}
