package sandbox

import "slices"

// Kind says what a fault does.
type Kind string

// Faults of an answer, for any operation of any service. Those in the first
// group leave no effect behind; of the second, the operation is done.
const (
	Throttle    Kind = "throttle"    // as the service throttles: SageMaker's runtime with {"message":null}
	Refuse      Kind = "refuse"      // Status, Code and Message of the fault
	Internal    Kind = "internal"    // 500
	Unavailable Kind = "unavailable" // 503
	Denied      Kind = "denied"      // 403 AccessDeniedException
	HTML        Kind = "html"        // a page of a proxy: 502, or Status
	Hang        Kind = "hang"        // no answer until the client goes
	Cut         Kind = "cut"         // the connection closes before anything is done
	Limit       Kind = "limit"       // ResourceLimitExceeded: the account's quota

	Slow       Kind = "slow"        // the answer takes Delay
	LoseAnswer Kind = "lose-answer" // done, then the connection closes
	Truncate   Kind = "truncate"    // half of the body, then the connection closes
	NoContent  Kind = "no-content"  // 204 and no body
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

// Faults of what an operation begins: the answer is as always.
const (
	// Fail ends it badly, with Reason: UpdateEndpoint, CreateTrainingJob (at the secondary
	// status At), CreateEndpoint, ExportTableToPointInTime (Code).
	Fail Kind = "fail"
	// NoCapacity ends it for want of instances: CreateTrainingJob,
	// CreateEndpoint, and UpdateEndpoint, which rolls back.
	NoCapacity Kind = "no-capacity"
	// RollBack ends UpdateEndpoint, after both fleets answered for a while, with
	// the old configuration InService and Reason as FailureReason.
	RollBack Kind = "roll-back"
	// RollBackSilently does the same without a FailureReason and without ever
	// saying RollingBack.
	RollBackSilently Kind = "roll-back-silently"
	// RollBackFailed ends UpdateEndpoint as UpdateRollbackFailed: both fleets answer.
	RollBackFailed Kind = "roll-back-failed"
	// Stick leaves it as it is until the test lets go (Ordered.Release).
	Stick Kind = "stick"
	// ExceedRuntime and ExceedWait end CreateTrainingJob's job as Stopped.
	ExceedRuntime Kind = "exceed-runtime"
	ExceedWait    Kind = "exceed-wait"
	// Interrupt takes the job's spot instance away once.
	Interrupt Kind = "interrupt"
	// OddStatus lets the job pass through the secondary status At, which may be
	// undocumented.
	OddStatus Kind = "odd-status"
	// NotYetVisible answers CreateEndpoint and UpdateEndpoint «Could not find
	// endpoint configuration», as just after CreateEndpointConfig.
	NotYetVisible Kind = "not-yet-visible"
	// Unprocessed leaves Items of a batch undone, the last of them, or the second
	// half: BatchGetItem and BatchWriteItem.
	Unprocessed Kind = "unprocessed"
)

type meaning struct {
	kind    Kind
	does    string
	outcome bool // of what an operation begins
}

// meanings lists all kinds, in the order of the constants, with what a person
// who orders one over HTTP should know.
var meanings = []meaning{
	{Throttle, "as the service throttles", false},
	{Refuse, "an error of status, code and message", false},
	{Internal, "500", false},
	{Unavailable, "503", false},
	{Denied, "403", false},
	{HTML, "a page of a proxy, 502 or status", false},
	{Hang, "no answer until the client goes", false},
	{Cut, "the connection closes, nothing is done", false},
	{Limit, "the account's quota is used up", false},
	{Slow, "the answer takes delay", false},
	{LoseAnswer, "done, then the connection closes", false},
	{Truncate, "half of the answer, then the connection closes", false},
	{NoContent, "204 without a body", false},
	{Garbage, "200 with a body that is no answer", false},
	{ModelError, "InvokeEndpoint: the container answers status (400) and message", false},
	{ModelTimeout, "InvokeEndpoint: the container does not answer in time", false},
	{ModelNotReady, "InvokeEndpoint: 429", false},
	{Dependency, "InvokeEndpoint: 530", false},
	{WrongCount, "InvokeEndpoint: one prediction is missing", false},
	{NotANumber, "InvokeEndpoint: the first score is NaN", false},
	{NullScore, "InvokeEndpoint: the first score is null", false},
	{IntegerLabels, "InvokeEndpoint: labels are 1, not 1.0", false},
	{NotYetVisible, "CreateEndpoint, UpdateEndpoint: the configuration cannot be found yet", false},
	{Unprocessed, "BatchGetItem, BatchWriteItem: the last items stay undone", false},
	{Fail, "CreateTrainingJob (at a status), CreateEndpoint, UpdateEndpoint, ExportTableToPointInTime: ends badly, with reason", true},
	{NoCapacity, "the same, for want of instances", true},
	{RollBack, "UpdateEndpoint: back to the old configuration, with reason", true},
	{RollBackSilently, "UpdateEndpoint: back to the old configuration without a word", true},
	{RollBackFailed, "UpdateEndpoint: ends as UpdateRollbackFailed, both fleets answer", true},
	{Stick, "it stays under way until the faults are taken back", true},
	{ExceedRuntime, "CreateTrainingJob: Stopped by its time limit", true},
	{ExceedWait, "CreateTrainingJob: Stopped while it waits for a spot instance", true},
	{Interrupt, "CreateTrainingJob: its spot instance is taken away once", true},
	{OddStatus, "CreateTrainingJob: passes through the unheard-of status at", true},
}

// Kinds lists all kinds of faults.
func Kinds() []Kind {
	out := make([]Kind, len(meanings))
	for i, m := range meanings {
		out[i] = m.kind
	}
	return out
}

// Does says what a kind does, in a few words; nothing for one that is none.
func (k Kind) Does() string {
	for _, m := range meanings {
		if m.kind == k {
			return m.does
		}
	}
	return ""
}

// outcome reports whether a kind is of what an operation begins, not of its
// answer.
func (k Kind) outcome() bool {
	return slices.ContainsFunc(meanings, func(m meaning) bool { return m.kind == k && m.outcome })
}
