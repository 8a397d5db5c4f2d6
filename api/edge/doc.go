// Package edge is what every HTTP request meets, whatever its route. It gives the
// request an id, a context, a line in the log and a count in the metrics; it checks
// API keys and operators' tokens; it limits how many requests are handled and how
// much memory they hold; and it turns every error into a response.
//
//	front := edge.New(edge.Deps{Log: log, Registry: registry, …}, edge.Options{})
//	handler := front.Handler(func(r chi.Router) {
//		r.With(front.RequireKey).Method("POST", "/predict", edge.Handler(predict))
//	})
//
// A handler returns an error if it fails. Two files decide what the caller gets
// then, and no other file contains the status code of an error:
//
//   - problem.go makes a [Problem] of it (RFC 9457).
//   - aws.go makes an error for AWS SDKs of it, below [AWSPrefix].
//
// The state of a request is a [Request], which handlers get with [Of] and fill in on
// the way. The log line is written from it at the end (log.go). The context of the
// request (context.go) holds a pointer to it. Both are fields of one struct,
// exchange, so that a request costs one allocation for all of them.
//
// Packages with routes import edge, and do not import each other.
package edge
