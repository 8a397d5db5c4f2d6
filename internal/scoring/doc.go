// Package scoring is the way to a remote model: what happens between a
// prediction and the call of an endpoint.
//
// A [Batch] puts rows of concurrent requests into shared calls. It is a
// [predict.Scorer] over another one, and knows nothing of HTTP or AWS.
//
//	batch := scoring.NewBatch(scorer, scoring.BatchOptions{MaxRows: 256}, registry)
//	scores, err := batch.Score(ctx, rows, false)
//	…
//	err = batch.Stop(ctx)
package scoring
