// Package aws is the back end on Amazon's services: models are trained and
// served by SageMaker, customers live in DynamoDB, files in S3.
//
// It fills the ports of package modelswap and package predict. Its files carry
// the same names as those of its sibling in this process, package local:
//
//	clients.go    the clients of the SDK: pools, the one retry layer
//	files.go      modelswap.Files in a bucket (with reader.go and upload.go)
//	exporter.go   modelswap.Exporter: DynamoDB's export, or one that is there
//	trainer.go    modelswap.Trainer: training jobs (request.go, images.go)
//	deployer.go   modelswap.Deployer: models, endpoint configurations, the
//	              endpoint (deploy.go), batch transform jobs (evaluate.go)
//	scorer.go     predict.Scorer: InvokeEndpoint (answer.go); the call itself is
//	              invoker.go, the fast path (template.go, replay.go, retry.go)
//	customers.go  predict.Customers and predict.CustomerStore (item.go)
//	labels.go     outcomes into the customers' table
//	secrets.go    secrets.Source: Secrets Manager
//	errors.go     what the services' errors mean to callers and to renewals
//
// Two things are not obvious. Which model answered a call is told by a probe,
// a row whose score under each model is known (endpoint.go, probe.go, decision
// 0014). And nothing here remembers what SageMaker, S3 and DynamoDB remember:
// a process that dies leaves nothing that the next one has to guess.
//
// The package knows nothing of SQL or HTTP routes. The SDK is imported here
// and in the stand-in of its tests, and nowhere else.
package aws
