// Package local is the embedded back end: the model is trained and served in
// this process, files lie in a folder, and nothing else is needed.
//
// It fills the ports of package modelswap and package predict. Its files carry
// the same names as those of its sibling for the cloud, so that reading both
// side by side shows what a back end is:
//
//	datadir      modelswap.Files, and the directory of all local state
//	exporter.go  modelswap.Exporter: writes the native DynamoDB export format
//	trainer.go   modelswap.Trainer: trains in the background
//	deployer.go  modelswap.Deployer: a row in the database says which model serves
//	scorer.go    predict.Scorer: an atomic pointer to that model
//
// The package knows nothing of SQL or HTTP; what it stores goes through [Store].
package local
