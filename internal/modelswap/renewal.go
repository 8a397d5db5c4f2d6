package modelswap

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"gateway/internal/learn"
)

// Status is the state of a renewal.
type Status string

// The states of a renewal. The last four are final.
const (
	Queued    Status = "queued"
	Running   Status = "running"
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
	Rejected  Status = "rejected" // the challenger lost against the champion
	Cancelled Status = "cancelled"
)

// Final reports whether the renewal has ended.
func (s Status) Final() bool { return s != Queued && s != Running }

// StepName names a step of a renewal.
type StepName string

// The steps, in their order.
const (
	Export   StepName = "export"
	Convert  StepName = "convert"
	Train    StepName = "train"
	Register StepName = "register"
	Evaluate StepName = "evaluate"
	Deploy   StepName = "deploy"
	Verify   StepName = "verify"
)

// StepStatus is the state of a step.
type StepStatus string

// The states of a step.
const (
	StepPending   StepStatus = "pending"
	StepRunning   StepStatus = "running"
	StepSucceeded StepStatus = "succeeded"
	StepFailed    StepStatus = "failed"
	StepSkipped   StepStatus = "skipped"
	StepCancelled StepStatus = "cancelled"
)

// What started a renewal.
const (
	TriggerManual   = "manual"
	TriggerSchedule = "schedule"
	TriggerOutcomes = "outcomes"
	TriggerFirst    = "first"
	TriggerDrift    = "drift"
	TriggerQuality  = "quality"
)

// Renewal is one run from the customers to a serving model. Its row in the store
// is authoritative; operators see its JSON form.
type Renewal struct {
	ID         string     `json:"id"`
	Status     Status     `json:"status"`
	Trigger    string     `json:"trigger"`
	Reason     string     `json:"reason"`
	Overrides  Overrides  `json:"overrides"`
	Force      bool       `json:"force"`
	CreatedAt  time.Time  `json:"created_at"`
	FinishedAt *time.Time `json:"finished_at"`
	Model      *string    `json:"model"` // the model it made, from `register` on
	Metrics    Metrics    `json:"metrics"`
	Steps      []Step     `json:"steps"`
	Error      string     `json:"error,omitempty"` // why it failed or was rejected

	Cancelling bool      `json:"cancelling,omitzero"` // cancellation was requested
	State      State     `json:"-"`                   // what later steps need from earlier ones
	Revision   int64     `json:"-"`                   // number of saves; saving a stale copy is refused
	WakeAt     time.Time `json:"-"`                   // when it is due; zero: at once
	Released   bool      `json:"-"`                   // the next save ends the lease
	Claim      int64     `json:"-"`                   // Revision when this process claimed it; not stored
	Held       int64     `json:"-"`                   // claim under which HoldServing was called last; not stored
}

// Step is one step's latest attempt.
type Step struct {
	Name       StepName       `json:"name"`
	Status     StepStatus     `json:"status"`
	Attempt    int            `json:"attempt"` // counts from 1; 0 while pending
	StartedAt  *time.Time     `json:"started_at"`
	FinishedAt *time.Time     `json:"finished_at"`
	Detail     map[string]any `json:"detail"`
	Error      *string        `json:"error"`
}

// Metrics compares champion and challenger on the same held-out rows. Each is nil
// until it has been evaluated; Champion stays nil where none can be compared.
type Metrics struct {
	Champion   *learn.Metrics `json:"champion"`
	Challenger *learn.Metrics `json:"challenger"`
	Rows       int            `json:"rows"` // held-out rows
}

// State carries values from one step to the next. All of it is durable before the
// step that wrote it counts as done.
type State struct {
	Schema    string `json:"schema,omitempty"`    // fingerprint; empty in renewals of earlier versions
	Export    string `json:"export,omitempty"`    // folder of the exported data, for Files
	Train     string `json:"train,omitempty"`     // training CSV, for Files
	Holdout   string `json:"holdout,omitempty"`   // held-out CSV, for Files
	Data      string `json:"data,omitempty"`      // SHA-256 of the training CSV, hexadecimal
	Rows      int    `json:"rows,omitempty"`      // rows of the training CSV
	Settled   int64  `json:"settled,omitempty"`   // number of rows that the caps on apps' contributions are a share of
	Open      bool   `json:"open,omitempty"`      // too few imported customers for a comparison on them alone
	Watermark int64  `json:"watermark,omitempty"` // number of the newest outcome in the data
	Artifact  string `json:"artifact,omitempty"`  // result of the training job
	Algorithm string `json:"algorithm,omitempty"` // of the model, where the trainer chose it
	Model     string `json:"model,omitempty"`     // name of the model, chosen before training
	Champion  string `json:"champion,omitempty"`  // what served when the challenger was evaluated
	Version   int64  `json:"version,omitempty"`   // Serving.Version then
	Redone    int    `json:"redone,omitempty"`    // number of restarts because files were missing
}

// Overrides change settings for one renewal.
type Overrides struct {
	Hyperparameters Hyperparameters `json:"hyperparameters,omitempty"`
	Training        Training        `json:"training,omitzero"`
	Gate            string          `json:"gate,omitempty"`    // in the form of GATEWAY_GATE
	JudgeBy         string          `json:"judge_by,omitzero"` // JudgeByKnown or JudgeByAll; empty: known
}

// Training overrides the training settings. A zero field keeps the setting.
type Training struct {
	Algorithm     string `json:"algorithm,omitzero"`
	InstanceType  string `json:"instance_type,omitzero"`
	InstanceCount int    `json:"instance_count,omitzero"`
	MaxRuntime    string `json:"max_runtime,omitzero"` // in the form of time.ParseDuration
}

// Hyperparameters are names and values in the training algorithm's spelling.
type Hyperparameters map[string]string

// UnmarshalJSON accepts strings, numbers and booleans, and keeps a number's text.
func (h *Hyperparameters) UnmarshalJSON(text []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	*h = make(Hyperparameters, len(raw))
	for name, value := range raw {
		switch c := value[0]; {
		case c == '"':
			var s string
			if err := json.Unmarshal(value, &s); err != nil {
				return err
			}
			(*h)[name] = s
		case c == '{' || c == '[' || c == 'n':
			return fmt.Errorf("hyperparameter %q must be a string, a number or a boolean", name)
		default:
			(*h)[name] = string(value)
		}
	}
	return nil
}

// Model is the record of a model that a renewal made.
type Model struct {
	Name       string            `json:"name"`
	Renewal    string            `json:"renewal"`
	Algorithm  string            `json:"algorithm"`
	Schema     string            `json:"schema"`
	Data       string            `json:"data"` // SHA-256 of the training CSV
	Rows       int               `json:"rows"`
	Parameters map[string]string `json:"hyperparameters"`
	Metrics    *learn.Metrics    `json:"metrics"` // on the held-out rows; nil before `evaluate`
	CreatedAt  time.Time         `json:"created_at"`
	DeployedAt *time.Time        `json:"deployed_at"` // when it last began to serve
	RetiredAt  *time.Time        `json:"retired_at"`  // when another model replaced it
	RemovedAt  *time.Time        `json:"removed_at"`  // when it was removed from the platform
	Serving    bool              `json:"serving"`
	Watermark  int64             `json:"-"` // number of the newest outcome in its training data
	Figures    *Figures          `json:"-"` // set where a model is recorded; read by Models.Figures alone
}

// Order lists the steps in the order in which they run.
func Order() []StepName {
	return []StepName{Export, Convert, Train, Register, Evaluate, Deploy, Verify}
}

// Step returns the named step.
func (r *Renewal) Step(name StepName) *Step {
	i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.Name == name })
	return &r.Steps[i]
}

// Current returns the first step that has not succeeded, or nil.
func (r *Renewal) Current() *Step {
	for i := range r.Steps {
		if s := r.Steps[i].Status; s != StepSucceeded && s != StepSkipped {
			return &r.Steps[i]
		}
	}
	return nil
}
