package modelswap

import (
	"context"
	"io"
	"io/fs"
	"time"

	"gateway/internal/export"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Renewals is where renewals live. Implementations are safe for concurrent
// use, by several processes too; a Renewal passed in is not kept.
type Renewals interface {
	// InsertRenewal stores a new renewal with Revision 1. While another one is
	// unfinished it stores nothing and returns an *failure.Error of kind
	// Conflict whose detail names that one.
	InsertRenewal(ctx context.Context, r *Renewal) error
	// ClaimRenewal takes, for owner and for as long as lease, the unfinished
	// renewal whose WakeAt has passed and that no other owner holds; nil if there
	// is none. It is one whose State.Schema is schema or empty, or one that no
	// engine has worked on for Stranded. It increments Revision, so that an engine
	// that held it before cannot save.
	ClaimRenewal(ctx context.Context, owner, schema string, lease time.Duration) (*Renewal, error)
	// ExtendLease extends the owner's lease to the given time from now, and reports
	// whether the renewal is to be cancelled. ErrStale: another owner holds the
	// renewal, or it has ended.
	ExtendLease(ctx context.Context, id, owner string, lease time.Duration) (cancel bool, err error)
	// UpdateRenewal saves r where the stored Revision is still r.Revision, and
	// increments both; else it changes nothing and returns ErrStale. A renewal
	// that is final, or Released, is let go with it. Making a final one run
	// again is a Conflict as in InsertRenewal.
	UpdateRenewal(ctx context.Context, r *Renewal) error
	// RequestCancel notes that the renewal is to be cancelled, for its owner to
	// see, and makes it due at once. Kind NotFound if there is none, Conflict
	// if it has ended.
	RequestCancel(ctx context.Context, id string) error
	// Renewal returns one; kind NotFound if there is none.
	Renewal(ctx context.Context, id string) (*Renewal, error)
	// Attempts returns every attempt of every step, in the order of their start.
	Attempts(ctx context.Context, id string) ([]Step, error)
	// Renewals returns the newest, newest first, at most limit, older than the
	// one named before (empty: from the newest).
	Renewals(ctx context.Context, limit int, before string) ([]*Renewal, error)
}

// Models is the record of the models that renewals made.
type Models interface {
	// InsertModel records a model that a renewal made, where by.Revision is the
	// renewal's stored revision; else ErrStale. Recording the same name again
	// replaces all but DeployedAt and RetiredAt.
	InsertModel(ctx context.Context, m Model, by Fence) error
	// Model returns one; kind NotFound if there is none.
	Model(ctx context.Context, name string) (*Model, error)
	// Models returns all, newest first. Serving is not filled in.
	Models(ctx context.Context) ([]Model, error)
	// MarkServing notes that name serves from at on, and that any other model of
	// its schema that was marked is retired. Marking the one that is marked changes
	// nothing. ErrStale: another model of the schema has been marked as serving
	// from a later time on.
	MarkServing(ctx context.Context, name string, at time.Time) error
	// MarkRemoved notes that the platform has the model no longer. Recording the
	// name again takes that back.
	MarkRemoved(ctx context.Context, name string, at time.Time) error
}

// Schedules is the memory of what starts renewals by itself, one for all
// replicas.
type Schedules interface {
	// Schedule returns it; the zero Schedule before the first save.
	Schedule(ctx context.Context) (Schedule, error)
	// SaveSchedule saves s where the stored Revision is still s.Revision, and
	// increments that, and stores the new renewal r, unless it is nil: both or
	// nothing. ErrStale: another process saved in the meantime. A Conflict as in
	// InsertRenewal: r would be a second unfinished one.
	SaveSchedule(ctx context.Context, s Schedule, r *Renewal) error
	// NewestOutcome is the sequence number of the newest outcome, 0 for none.
	NewestOutcome(ctx context.Context) (int64, error)
	// RaiseOutcomes makes the numbers of outcomes to come higher than this one,
	// unless they are, or it is too high to have been one.
	RaiseOutcomes(ctx context.Context, above int64) error
	// OutcomesAfter counts the customers whose label was set by an outcome with a
	// number above after. One that was received before settled counts as settled.
	// known leaves out customers that were made from predictions.
	OutcomesAfter(ctx context.Context, after int64, settled time.Time, known bool) (NewOutcomes, error)
}

// Traffic remembers what was asked of models.
type Traffic interface {
	// RecentPredictions returns the newest predictions that the model made, at
	// most limit, of recent ones only: none where it has not been asked lately.
	RecentPredictions(ctx context.Context, model string, limit int) ([]predict.Prediction, error)
}

// Exporter writes all customers to files, as DynamoDB exports them.
type Exporter interface {
	// StartExport begins the export called name, or finds it begun.
	StartExport(ctx context.Context, name string) error
	// ExportStatus tells how far it is.
	ExportStatus(ctx context.Context, name string) (ExportStatus, error)
}

// ExportStatus describes an export. Folder and Items are set once it is done.
type ExportStatus struct {
	Done       bool
	Folder     string // for Files
	Items      int64
	Source     string // address of an export that others made; empty: the gateway's own
	PassedOver []export.PassedOver
}

// Files holds exports, training data and artifacts under slash-separated names.
type Files interface {
	// FS reads. It is valid for as long as ctx is.
	FS(ctx context.Context) fs.FS
	// WriteFile makes the file from what write writes. It appears whole, or not
	// at all where write or WriteFile fails; an older one is replaced.
	WriteFile(ctx context.Context, name string, write func(io.Writer) error) error
	// RemoveAll removes a folder and all in it. One that is not there is no error.
	RemoveAll(ctx context.Context, name string) error
}

// TrainingJob asks for a model.
type TrainingJob struct {
	Name            string // unique; the same name is the same job
	Model           string // name the model will have
	Algorithm       string
	Hyperparameters map[string]string
	MaxRuntime      time.Duration
	InstanceType    string // empty: as the platform has it set; so is a count of zero
	InstanceCount   int
	Train, Holdout  string   // CSV, label first, for Files
	Rows            int      // of Train
	Columns         []string // of the CSV, without the label
	Schema          string   // fingerprint
	Data            string   // SHA-256 of Train, hexadecimal
	Ignored         []string // settings that this platform has no use for; for the record
}

// TrainingState is where a training job stands.
type TrainingState string

// The states of a training job.
const (
	TrainingRunning   TrainingState = "running"
	TrainingSucceeded TrainingState = "succeeded"
	TrainingFailed    TrainingState = "failed"
	TrainingLost      TrainingState = "lost" // its process has ended: start it again
)

// TrainingStatus describes a training job.
type TrainingStatus struct {
	State    TrainingState
	Artifact string         // once succeeded
	Reason   string         // once failed: what was wrong, for the operator
	Detail   map[string]any // progress and figures, for the renewal's record
}

// Trainer trains models.
type Trainer interface {
	// StartTraining begins the job, or finds it begun under the same name.
	StartTraining(ctx context.Context, job TrainingJob) error
	// TrainingStatus tells how far it is.
	TrainingStatus(ctx context.Context, name string) (TrainingStatus, error)
	// StopTraining ends it. Stopping one that has ended is no error.
	StopTraining(ctx context.Context, name string) error
}

// Deployer holds models and makes one of them serve.
type Deployer interface {
	// RegisterModel makes the artifact of a training job deployable as name,
	// after checking it against the schema fingerprint. Registering again is no error.
	RegisterModel(ctx context.Context, name, artifact, schema string) error
	// DescribeModel returns what the platform itself knows of a model: at least
	// its name, its schema (empty for a model that no gateway made) and when it was
	// made. Kind NotFound if there is none.
	DescribeModel(ctx context.Context, name string) (Model, error)
	// ScoreWith scores rows with a model, whether it serves or not. Where the
	// model cannot be read the error wraps learn.ErrArtifact, where it was made for
	// another schema learn.ErrSchema; kind NotFound if there is none.
	ScoreWith(ctx context.Context, name string, rows []schema.Vector) ([]float64, error)
	// StopScoring ends what ScoreWith began elsewhere for the model and did not
	// see through. Where nothing goes on, that is no error.
	StopScoring(ctx context.Context, name string) error
	// DeployModel begins to make a registered model the one that serves, and
	// returns the Version that it serves with. The errors of Change.Check mean that
	// nothing was changed.
	DeployModel(ctx context.Context, c Change) (version int64, err error)
	// HoldServing keeps earlier claims of the renewal c.By from changing what
	// serves. It has the errors of Change.Check.
	HoldServing(ctx context.Context, c Change) error
	// Serving returns which model serves.
	Serving(ctx context.Context) (Serving, error)
	// RemoveModel removes what RegisterModel made. Removing again is no error;
	// the model that serves, or is about to, stays, and that is a Conflict.
	RemoveModel(ctx context.Context, name string) error
}
