// Package aws is the back end on AWS: SageMaker trains and serves the models, DynamoDB
// stores the customers, and S3 stores the files.
//
// It implements the ports of the packages modelswap and predict. Its files have the same
// names as those of package local, the back end in this process:
//
//	clients.go    the clients of the SDK: pools, the one retry layer
//	files.go      modelswap.Files in a bucket (bucketfs.go, upload.go)
//	exporter.go   modelswap.Exporter: DynamoDB's export, or an existing one
//	trainer.go    modelswap.Trainer: training jobs (trainingrequest.go, images.go)
//	deployer.go   modelswap.Deployer: models, endpoint configurations, the
//	              endpoint (deploy.go, orders.go), batch transform jobs (evaluate.go)
//	scorer.go     predict.Scorer: InvokeEndpoint (answer.go); invoker.go makes the
//	              call (template.go, replay.go, retry.go)
//	customers.go  predict.Customers and predict.CustomerStore (item.go)
//	labelsync.go  labels from outcomes, into the customers' table
//	secrets.go    secrets.Source: Secrets Manager
//	errors.go     errors of the services, translated for callers and for renewals
//
// Two things are not obvious. A probe identifies the model that answered a call: it is a
// row whose score under each model is known (endpoint.go, probe.go, decision 0014). And all
// state is in SageMaker, S3 and DynamoDB: a process that dies leaves no state that the next
// one cannot read.
//
// The package does not depend on SQL or on HTTP routes. Only this package and package
// sandbox import the SDK.
package aws
