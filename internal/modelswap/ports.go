package modelswap

import (
	"context"
	"io"
	"io/fs"
	"time"

	"gateway/internal/export"
	"gateway/internal/insights"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Renewals stores renewals. Implementations are safe for concurrent use, also by
// several processes, and do not keep a Renewal passed in.
type Renewals interface {
	// InsertRenewal stores a new renewal with Revision 1. While another one is
	// unfinished it stores nothing and returns a *failure.Error of kind Conflict
	// whose detail names that one.
	InsertRenewal(ctx context.Context, r *Renewal) error
	// ClaimRenewal leases to owner, for the duration lease, the unfinished renewal
	// whose WakeAt has passed and that no other owner holds. It returns nil if
	// there is none. It claims a renewal whose State.Schema is schema or empty, or
	// one that no engine has worked on for Stranded. It increments Revision, so
	// that an earlier owner can no longer save.
	ClaimRenewal(ctx context.Context, owner, schema string, lease time.Duration) (*Renewal, error)
	// ExtendLease extends the owner's lease to the given time from now, and
	// reports whether cancellation was requested. ErrStale: another owner holds
	// the renewal, or it has ended.
	ExtendLease(ctx context.Context, id, owner string, lease time.Duration) (cancel bool, err error)
	// UpdateRenewal saves r if the stored Revision still is r.Revision, and
	// increments both; otherwise it changes nothing and returns ErrStale. It ends
	// the lease of a renewal that is final or Released. Making a final one run
	// again is a Conflict as in InsertRenewal.
	UpdateRenewal(ctx context.Context, r *Renewal) error
	// RequestCancel records that cancellation was requested and makes the renewal
	// due at once. Kind NotFound if there is none, Conflict if it has ended.
	RequestCancel(ctx context.Context, id string) error
	// Renewal returns one; kind NotFound if there is none.
	Renewal(ctx context.Context, id string) (*Renewal, error)
	// Attempts returns every attempt of every step, in the order of their start.
	Attempts(ctx context.Context, id string) ([]Step, error)
	// Renewals returns at most limit renewals, newest first, older than the one
	// named before. An empty before begins with the newest.
	Renewals(ctx context.Context, limit int, before string) ([]*Renewal, error)
}

// Models stores the records of the models that renewals made.
type Models interface {
	// InsertModel records a model that a renewal made if by.Revision is the
	// renewal's stored revision, else it returns ErrStale. Recording the same name
	// again replaces all but DeployedAt and RetiredAt.
	InsertModel(ctx context.Context, m Model, by Fence) error
	// Model returns one without its Figures; kind NotFound if there is none.
	Model(ctx context.Context, name string) (*Model, error)
	// Figures returns the figures that were recorded with a model, nil if there
	// are none or there is no such model.
	Figures(ctx context.Context, name string) (*Figures, error)
	// Models returns all, newest first. Serving and Figures are not filled in.
	Models(ctx context.Context) ([]Model, error)
	// MarkServing records that name serves from at on, and that any other model of
	// its schema that was marked is retired. Marking the marked one changes
	// nothing. ErrStale: another model of the schema is marked as serving from a
	// later time on.
	MarkServing(ctx context.Context, name string, at time.Time) error
	// MarkRemoved records that the platform no longer has the model. Recording the
	// model again undoes that.
	MarkRemoved(ctx context.Context, name string, at time.Time) error
}

// Schedules stores the schedule, one for all replicas.
type Schedules interface {
	// Schedule returns it; the zero Schedule before the first save.
	Schedule(ctx context.Context) (Schedule, error)
	// SaveSchedule saves s if the stored Revision still is s.Revision, increments
	// it, and stores the new renewal r unless it is nil: both or nothing.
	// ErrStale: another process saved in between. Conflict as in InsertRenewal: r
	// would be a second unfinished renewal.
	SaveSchedule(ctx context.Context, s Schedule, r *Renewal) error
	// NewestOutcome returns the sequence number of the newest outcome, 0 for none.
	NewestOutcome(ctx context.Context) (int64, error)
	// RaiseOutcomes raises the sequence so that later outcomes get higher numbers
	// than this one. It changes nothing if they do already, or if the number is
	// too high to have been assigned.
	RaiseOutcomes(ctx context.Context, above int64) error
	// OutcomesAfter counts the customers whose label was set by an outcome with a
	// number above after. One that was received before settled counts as settled.
	// With known, customers that were made from predictions are left out.
	OutcomesAfter(ctx context.Context, after int64, settled time.Time, known bool) (NewOutcomes, error)
}

// Traffic returns recent requests.
type Traffic interface {
	// RecentPredictions returns at most limit of the newest predictions of the
	// model, from a recent period only.
	RecentPredictions(ctx context.Context, model string, limit int) ([]predict.Prediction, error)
}

// Profiles stores what is kept of the data of models, for insights.
type Profiles interface {
	// SaveProfile stores the profile of the training data of a model that a renewal
	// makes if by.Revision is the renewal's stored revision, else it returns ErrStale.
	SaveProfile(ctx context.Context, model string, p *insights.Profile, by Fence) error
	// SaveHoldout adds what is kept of the held-out rows, likewise.
	SaveHoldout(ctx context.Context, model string, h *insights.Holdout, by Fence) error
	// Profile returns what is stored of a model, nil for nothing.
	Profile(ctx context.Context, model string) (*insights.Profile, *insights.Holdout, error)
}

// Exporter writes all customers to files in the formats of DynamoDB exports.
type Exporter interface {
	// StartExport starts the export called name. If it was started before, it does
	// nothing.
	StartExport(ctx context.Context, name string) error
	// ExportStatus returns its progress.
	ExportStatus(ctx context.Context, name string) (ExportStatus, error)
}

// ExportStatus describes an export. Folder and Items are set once it is done.
type ExportStatus struct {
	Done       bool
	Folder     string // readable through Files
	Items      int64
	Source     string // address of an export made by others; empty: the gateway's own
	PassedOver []export.PassedOver
}

// Files stores exports, training data and artifacts under slash-separated names.
type Files interface {
	// FS returns a read-only view that is valid for as long as ctx is.
	FS(ctx context.Context) fs.FS
	// WriteFile makes or replaces the file with what write writes. The file
	// appears whole; if write or WriteFile fails, nothing changes.
	WriteFile(ctx context.Context, name string, write func(io.Writer) error) error
	// RemoveAll removes a folder and its contents. A missing one is no error.
	RemoveAll(ctx context.Context, name string) error
}

// Converter converts exports to training data in a service of the platform.
type Converter interface {
	// Convert starts the conversion, or polls the one that was started with the same
	// Folder, by this process or another.
	Convert(ctx context.Context, job ConversionJob) (Conversion, error)
	// StopConversion stops the conversion that was started with the folder, and removes
	// what it has outside of it. If there is none, that is no error.
	StopConversion(ctx context.Context, folder string) error
}

// ConversionJob asks for training data.
type ConversionJob struct {
	Export    string // folder of the export, readable through Files
	Folder    string // for all files of this attempt
	Policy    *export.Policy
	Watermark int64                  // export.Options.Watermark
	TempDir   string                 // of temporary files
	Observe   func(export.Row) error // called with each row once the conversion is done; Mapped and Defaulted are not set
}

// Conversion is the state of a conversion. All but Detail is set once it is done.
type Conversion struct {
	Done bool
	// Report is that of export.Convert, without Examples and Ignored. SHA256 does not
	// depend on the order of the rows.
	Report  export.Report
	Train   string // folder of files of training rows, readable through Files
	Holdout string // one file
	// Rows of the training part that Observe was called with and that had a value mapped
	// or defaulted, by feature.
	Mapped, Defaulted map[int]int64
	Detail            map[string]any // for the renewal's record
}

// TrainingJob asks for a model.
type TrainingJob struct {
	Name            string // unique; the same name is the same job
	Model           string // name that the model will have
	Algorithm       string
	Hyperparameters map[string]string
	MaxRuntime      time.Duration
	InstanceType    string // empty or zero: the platform's setting
	InstanceCount   int
	Train, Holdout  string   // readable through Files: CSV, label first; Train may be a folder of files
	Rows            int      // of Train
	Columns         []string // of the CSV, without the label
	Features        []string // of each column, the feature that it is of
	Coded           []int    // the columns that are codes of categories: schema.CodedColumns
	Schema          string   // fingerprint
	Threshold       float64  // score from which label 1 is predicted
	Data            string   // digest of Train, hexadecimal: export.Report.SHA256
	Ignored         []string // settings that this platform does not use, for the record
}

// TrainingState is the state of a training job.
type TrainingState string

// The states of a training job.
const (
	TrainingRunning   TrainingState = "running"
	TrainingSucceeded TrainingState = "succeeded"
	TrainingFailed    TrainingState = "failed"
	TrainingLost      TrainingState = "lost" // its process ended; it must be started again
)

// TrainingStatus describes a training job.
type TrainingStatus struct {
	State    TrainingState
	Artifact string // once succeeded
	// Algorithm is that of the model, once succeeded, where the job left the choice
	// to the trainer; else empty.
	Algorithm string
	Reason    string         // once failed: the reason, for the operator
	Detail    map[string]any // progress and figures, for the renewal's record
}

// Trainer trains models.
type Trainer interface {
	// StartTraining starts the job. If one of the same name was started before, it
	// does nothing.
	StartTraining(ctx context.Context, job TrainingJob) error
	// TrainingStatus returns its progress.
	TrainingStatus(ctx context.Context, name string) (TrainingStatus, error)
	// StopTraining stops it. Stopping a job that has ended is no error.
	StopTraining(ctx context.Context, name string) error
}

// Deployer stores models and makes one of them serve.
type Deployer interface {
	// RegisterModel makes the artifact of a training job deployable as name, after
	// checking it against the schema's fingerprint. Registering again is no error.
	RegisterModel(ctx context.Context, name, artifact, schema string) error
	// DescribeModel returns what the platform has recorded of a model: at least
	// its name, its schema (empty for a model that no gateway made) and its
	// creation time. Kind NotFound if there is none.
	DescribeModel(ctx context.Context, name string) (Model, error)
	// LearnedFigures returns what the platform can tell about the inside of a
	// registered model. h may help it to find out. That the model cannot be read is
	// no error.
	LearnedFigures(ctx context.Context, name string, h HeldOut) (LearnedFigures, error)
	// ScoreWith scores rows with a model, serving or not. The error wraps
	// learn.ErrArtifact where the model cannot be read and learn.ErrSchema where
	// it was made for another schema; kind NotFound if there is none.
	ScoreWith(ctx context.Context, name string, rows []schema.Vector) ([]float64, error)
	// StopScoring stops unfinished work that an earlier ScoreWith started
	// elsewhere for the model. If there is none, that is no error.
	StopScoring(ctx context.Context, name string) error
	// DeployModel starts to make a registered model the serving one, and returns
	// the Version that it serves with. The errors of Change.Check mean that
	// nothing was changed.
	DeployModel(ctx context.Context, c Change) (version int64, err error)
	// HoldServing prevents earlier claims of the renewal c.By from changing what
	// serves. It has the errors of Change.Check.
	HoldServing(ctx context.Context, c Change) error
	// Serving returns the serving model.
	Serving(ctx context.Context) (Serving, error)
	// RemoveModel removes a registered model. Removing again is no error. Removing
	// the serving model, or one that is being deployed, is a Conflict.
	RemoveModel(ctx context.Context, name string) error
}
