// Package scoring is the way to a remote model: what happens between a prediction
// and the call of an endpoint.
//
// [Remote] makes all of it, a [Chain], in one call:
//
//   - [Batch] puts rows of concurrent requests into shared calls. It learns how
//     many calls the endpoint takes at once and what a row costs, splits large
//     requests and joins them again, and finds the rows that make a call fail.
//   - [Hedge], if it is on, makes a second call where the first one is slow.
//   - [Breaker] makes no calls while the endpoint does not answer.
//
// Each of them is a [predict.Scorer] over another one. The package knows nothing
// of HTTP or AWS.
//
//	remote := scoring.Remote(endpoint, scoring.Options{Timeout: time.Second}, registry)
//	scores, err := remote.Score(ctx, rows, false)
//	…
//	err = remote.Stop(ctx)
package scoring
