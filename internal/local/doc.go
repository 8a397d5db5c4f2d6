// Package local is the back end in this process: it trains and serves the model, and needs
// only a folder and the database.
//
// It implements the ports of the packages modelswap and predict. Its files have the same
// names as those of package aws, the other back end:
//
//	datadir      modelswap.Files, and the directory of all local state
//	exporter.go  modelswap.Exporter: writes the native DynamoDB export format
//	trainer.go   modelswap.Trainer: trains in the background
//	deployer.go  modelswap.Deployer: a row in the database names the serving model
//	scorer.go    predict.Scorer: an atomic pointer to that model
//
// The package depends neither on SQL nor on HTTP. It uses the database through [Store].
package local
