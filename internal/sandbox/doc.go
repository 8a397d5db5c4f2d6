// Package sandbox is a stand-in for the parts of AWS that the gateway uses:
// one HTTP server that speaks the wire of SageMaker's control plane and
// runtime, of S3 and of DynamoDB, for tests through the real SDK and for
// `gateway sandbox`.
//
//	aws := sandbox.Start(t, sandbox.Options{Clock: sandbox.NewManualClock(), Buckets: []string{"bank"}})
//	client := sagemaker.NewFromConfig(aws.Config())
//	…
//	aws.Order("UpdateEndpoint", sandbox.Fault{Kind: sandbox.RollBackSilently})
//	aws.Advance(10 * time.Minute)
//
// # What is real
//
// Statuses take time and forbid what they forbid on AWS; errors bear the real
// codes and messages; a training job learns from the CSV that lies in S3 and
// leaves an artifact there, and an endpoint answers with that artifact, of the
// old configuration until the new one is in service, of both while traffic
// shifts. What is not known for sure of the real services is chosen so that
// careless code breaks: a stopped job may leave an artifact, labels are floats.
//
// # Time
//
// Life cycles go by a [Clock]: the computer's, which a bubble of
// testing/synctest replaces together with [Options.InMemory], or a
// [ManualClock], which stands still until [Server.Advance]. A [Pace] says how
// long each state lasts.
//
// # Faults
//
// [Server.Order] makes an operation go wrong: in its answer (throttled, cut
// off, lost after the effect, …) or in what it begins (a job that fails, an
// update that SageMaker rolls back). [Server.Calls] tells what was called, by
// which attempt, and, for an invocation, which model really answered.
//
// # What it does not do
//
// Check signatures and permissions (that a request is signed, and for the
// right region, it does), charge money, keep anything after Close, Athena,
// pipelines, multi-model and asynchronous endpoints.
package sandbox
