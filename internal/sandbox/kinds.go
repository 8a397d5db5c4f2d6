package sandbox

import "slices"

// Kind is the effect of a fault.
type Kind string

// Faults of an answer, for any operation of any service. With those of the first group the
// operation has no effect. With those of the second group it is done.
const (
	Throttle    Kind = "throttle"    // as the service throttles: SageMaker's runtime with {"message":null}
	Refuse      Kind = "refuse"      // Status, Code and Message of the fault
	Internal    Kind = "internal"    // 500
	Unavailable Kind = "unavailable" // 503
	Denied      Kind = "denied"      // 403 AccessDeniedException
	HTML        Kind = "html"        // an error page of a proxy: 502, or Status
	Hang        Kind = "hang"        // no answer until the client disconnects
	Cut         Kind = "cut"         // the connection is closed before the operation
	Limit       Kind = "limit"       // ResourceLimitExceeded: a quota of the account

	Slow       Kind = "slow"        // the answer takes Delay
	LoseAnswer Kind = "lose-answer" // the connection is closed instead of an answer
	Truncate   Kind = "truncate"    // the connection is closed after half of the body
	NoContent  Kind = "no-content"  // 204 without a body
	Garbage    Kind = "garbage"     // 200 with a body that is not of the protocol
)

// Faults of InvokeEndpoint alone.
const (
	ModelError    Kind = "model-error"    // 424; the container answered Status (400) and Message
	ModelTimeout  Kind = "model-timeout"  // 424 with OriginalStatusCode 0
	ModelNotReady Kind = "not-ready"      // 429
	Dependency    Kind = "dependency"     // 530
	WrongCount    Kind = "wrong-count"    // one prediction fewer than rows
	NotANumber    Kind = "nan"            // the first score is NaN
	NullScore     Kind = "null-score"     // the first score is null
	IntegerLabels Kind = "integer-labels" // predicted_label is 1, not 1.0
)

// Faults of what an operation starts. The answer of the operation is normal.
const (
	// Fail makes it fail with Reason: UpdateEndpoint, CreateTrainingJob (at the secondary
	// status At), CreateEndpoint, ExportTableToPointInTime (with Code), StartQueryExecution (a
	// Status of 500 or above: as a fault of the system that a second try may not meet).
	Fail Kind = "fail"
	// NoCapacity makes it fail because there are no instances: CreateTrainingJob,
	// CreateEndpoint, and UpdateEndpoint, which rolls back.
	NoCapacity Kind = "no-capacity"
	// RollBack ends UpdateEndpoint, after both fleets have answered for a while, with
	// the old configuration InService and Reason as FailureReason.
	RollBack Kind = "roll-back"
	// RollBackSilently does the same without a FailureReason and without the status
	// RollingBack.
	RollBackSilently Kind = "roll-back-silently"
	// RollBackFailed ends UpdateEndpoint as UpdateRollbackFailed: both fleets answer.
	RollBackFailed Kind = "roll-back-failed"
	// Stick keeps it under way until Ordered.Release.
	Stick Kind = "stick"
	// ExceedRuntime and ExceedWait end CreateTrainingJob's job as Stopped.
	ExceedRuntime Kind = "exceed-runtime"
	ExceedWait    Kind = "exceed-wait"
	// Interrupt takes away the spot instance of the job once.
	Interrupt Kind = "interrupt"
	// OddStatus gives the job the secondary status At for a while, which may be an
	// undocumented one.
	OddStatus Kind = "odd-status"
	// NotYetVisible answers CreateEndpoint and UpdateEndpoint with "Could not find
	// endpoint configuration", as SageMaker may right after CreateEndpointConfig.
	NotYetVisible Kind = "not-yet-visible"
	// Unprocessed does not process the last Items of a batch, or the second half if Items
	// is 0: BatchGetItem and BatchWriteItem.
	Unprocessed Kind = "unprocessed"
)

type meaning struct {
	kind    Kind
	does    string
	outcome bool // of what an operation starts
}

// meanings lists all kinds with a description for the HTTP interface, in the order of the
// constants.
var meanings = []meaning{
	{Throttle, "as the service throttles", false},
	{Refuse, "an error of status, code and message", false},
	{Internal, "500", false},
	{Unavailable, "503", false},
	{Denied, "403", false},
	{HTML, "an error page of a proxy: 502, or status", false},
	{Hang, "no answer until the client disconnects", false},
	{Cut, "the connection is closed before the operation", false},
	{Limit, "a quota of the account is exceeded", false},
	{Slow, "the answer takes delay", false},
	{LoseAnswer, "the operation is done, then the connection is closed", false},
	{Truncate, "the connection is closed after half of the answer", false},
	{NoContent, "204 without a body", false},
	{Garbage, "200 with a body that is not of the protocol", false},
	{ModelError, "InvokeEndpoint: the container answers status (400) and message", false},
	{ModelTimeout, "InvokeEndpoint: the container does not answer in time", false},
	{ModelNotReady, "InvokeEndpoint: 429", false},
	{Dependency, "InvokeEndpoint: 530", false},
	{WrongCount, "InvokeEndpoint: one prediction is missing", false},
	{NotANumber, "InvokeEndpoint: the first score is NaN", false},
	{NullScore, "InvokeEndpoint: the first score is null", false},
	{IntegerLabels, "InvokeEndpoint: labels are 1, not 1.0", false},
	{NotYetVisible, "CreateEndpoint, UpdateEndpoint: the configuration is not found yet", false},
	{Unprocessed, "BatchGetItem, BatchWriteItem: the last items are not processed", false},
	{Fail, "CreateTrainingJob (at a status), CreateEndpoint, UpdateEndpoint, ExportTableToPointInTime, StartQueryExecution: fails with reason", true},
	{NoCapacity, "CreateTrainingJob, CreateEndpoint, UpdateEndpoint: fails because there are no instances", true},
	{RollBack, "UpdateEndpoint: rolls back to the old configuration with reason", true},
	{RollBackSilently, "UpdateEndpoint: rolls back to the old configuration without a reason", true},
	{RollBackFailed, "UpdateEndpoint: ends as UpdateRollbackFailed, both fleets answer", true},
	{Stick, "stays under way until the faults are cancelled", true},
	{ExceedRuntime, "CreateTrainingJob: Stopped because of its maximum runtime", true},
	{ExceedWait, "CreateTrainingJob: Stopped while it waits for a spot instance", true},
	{Interrupt, "CreateTrainingJob: the spot instance is taken away once", true},
	{OddStatus, "CreateTrainingJob: has the secondary status at for a while", true},
}

// Kinds lists all kinds of faults.
func Kinds() []Kind {
	out := make([]Kind, len(meanings))
	for i, m := range meanings {
		out[i] = m.kind
	}
	return out
}

// Does returns a short description of a kind, or "" for an unknown one.
func (k Kind) Does() string {
	for _, m := range meanings {
		if m.kind == k {
			return m.does
		}
	}
	return ""
}

// outcome reports whether a kind is a fault of what an operation starts, not of its answer.
func (k Kind) outcome() bool {
	return slices.ContainsFunc(meanings, func(m meaning) bool { return m.kind == k && m.outcome })
}
