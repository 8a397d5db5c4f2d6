// Package api is the gateway's HTTP interface, and only that. [New] makes the
// handlers from the services below; [Client] calls them from the other side.
//
//	public, admin := api.New(api.Deps{Predict: service, Renewals: engine, …}, api.Options{})
//	server := &http.Server{Handler: public, ReadHeaderTimeout: 10 * time.Second}
//
// All routes are in api.go. A handler decodes, calls one service, encodes, and
// returns an error if it fails. It contains no rule of the domain and no status
// code of an error. What an error looks like is decided in one place:
//
//   - problem.go turns every error into a [Problem] (RFC 9457). Its types are
//     urn:gateway:problem: followed by malformed (400), unauthenticated (401),
//     forbidden (403), not-found (404), method-not-allowed (405), slow-body
//     (408), conflict, idempotency-key-reused and in-progress (409), too-large
//     (413), unsupported-media-type (415), invalid (422), too-many-requests
//     (429), internal (500), bad-model (502), unavailable (503) or deadline (504);
//   - awserror.go does the same, below /endpoints/, for AWS SDKs.
//
// # Bodies
//
// A JSON body is read whole, up to a bound, and strictly: what is not JSON
// (names given twice and text after the value included) is malformed, and what
// is JSON but wrong is invalid, with a violation for every fault. See json.go
// and document.go.
//
// CSV and NDJSON are streams in both directions; see stream.go. Their answer
// is NDJSON, one line for each row of /predict/batch, and one for each bad row
// and a last one with the counts of /admin/customers. Once it has begun the
// status cannot change, so an early end is told twice: by a last line with an
// error (and "end": true, or the counts), and by the trailer X-Stream-End,
// which is "complete" only where everything was answered. A connection that
// breaks off without the trailer is an answer that breaks off.
//
// A renewal is followed by server-sent events (renewalevents.go), which are read
// off its row, so that it does not matter which process works on it.
//
// # Requests that are repeated
//
// POST /predict, /outcomes and /admin/retrain take an Idempotency-Key
// (idempotency.go). An answer that follows from the request alone, 2xx, 400 and
// 422, is kept before it is sent, and given to all who repeat the request; all
// other requests may be tried again under the same key, and what they make
// bears the same id as before.
//
// # What surrounds a request
//
// Each request has an id, one event in the log and one count in the metrics
// (event.go). Neither holds a feature value, a path, a query or a token.
// Answers to health probes are logged at debug level only; what they find
// is logged when it changes. Panics become problems; beyond a number of
// requests at once the rest is refused.
//
// The package sets deadlines of its own on streams only. For the others the
// server's timeouts apply, so a server must have them.
package api
