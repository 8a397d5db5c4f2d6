// Package sandbox is a stand-in for the parts of AWS that the gateway uses: one HTTP server
// with the protocols of SageMaker's control plane and runtime, of S3, of DynamoDB and of Athena.
// Tests call it through the real SDK, and `gateway sandbox` runs it.
//
//	aws := sandbox.Start(t, sandbox.Options{Clock: sandbox.NewManualClock(), Buckets: []string{"bank"}})
//	client := sagemaker.NewFromConfig(aws.Config())
//	…
//	aws.Order("UpdateEndpoint", sandbox.Fault{Kind: sandbox.RollBackSilently})
//	aws.Advance(10 * time.Minute)
//
// # What it does
//
// Statuses take time, and refuse the calls that they refuse on AWS. Errors have the real
// codes and messages. A training job learns from the CSV in S3 and writes an artifact there,
// in the format of the container.
// An endpoint scores with that artifact: with the model of the old configuration until the
// new one is in service, and with both while traffic shifts. A query runs in the engine of
// [Options.Queries] and fails without one. Where the behaviour of the real
// services is not documented, the stand-in has the one that careless code does not expect: a
// stopped job may leave an artifact, and labels are floats.
//
// # Time
//
// Life cycles use a [Clock]. It is the clock of the system, which a bubble of testing/synctest
// replaces if [Options.InMemory] is set, or a [ManualClock], which only [Server.Advance]
// moves. A [Pace] has the duration of each state.
//
// # Faults
//
// [Server.Order] makes an operation fail: its answer (throttled, cut off, lost after the
// effect, …) or what it starts (a job that fails, an update that SageMaker rolls back).
// [Server.Calls] returns the calls with their attempts and, for an invocation, the model that
// answered.
//
// # What it does not do
//
// It does not check permissions or signatures, except that a request is signed for the right
// region. It stores nothing after Close. It has no pipelines, and no multi-model and
// asynchronous endpoints.
package sandbox
