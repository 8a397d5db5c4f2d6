// Package api is the gateway's HTTP interface, and only that. [New] makes the handlers
// from the services below; package api/client calls them from the other side.
//
//	front := edge.New(edge.Deps{Log: log, Registry: registry, …}, edge.Options{})
//	public, admin := api.New(api.Deps{Edge: front, Predict: service, Renewals: engine, …}, api.Options{})
//	server := &http.Server{Handler: public, ReadHeaderTimeout: 10 * time.Second}
//
// All routes are in api.go. A handler decodes the request, calls one service, encodes
// the result, and returns an error if it fails. It contains no rule of the domain and no
// status code of an error. Package edge does what is the same for all routes: it gives a
// request its id, its log line and its count in the metrics, checks credentials, limits
// load, and turns errors into problems (RFC 9457). The types of problems are
// urn:gateway:problem: followed by malformed (400), unauthenticated (401), forbidden
// (403), not-found (404), method-not-allowed (405), not-acceptable (406), slow-body (408),
// conflict, idempotency-key-reused and in-progress (409), too-large (413),
// unsupported-media-type (415), invalid (422), too-many-requests (429), internal (500),
// bad-model (502), unavailable (503) and deadline (504).
//
// # Bodies
//
// A JSON body is read whole, up to a bound, and strictly. Text that is not JSON is
// malformed; a name given twice and text after the value count as such. JSON that breaks
// the schema or a rule is invalid, with a violation for every fault. See json.go and
// document.go.
//
// CSV and NDJSON are streams in both directions; see stream.go. The response is NDJSON:
// for /predict/batch a line for each row, for /admin/customers a line for each bad row
// and a last line with the counts. The status of a response cannot change once it has
// begun. An early end is reported by a last line with an error, and by the trailer
// X-Stream-End, which is "complete" only if everything was answered. A connection that is
// closed without the trailer means an incomplete response.
//
// A renewal is followed by server-sent events (renewalevents.go). They are read from its
// row in the database, so it does not matter which process works on the renewal.
//
// # Repeated requests
//
// POST /predict, /outcomes and /admin/retrain take an Idempotency-Key (idempotency.go).
// A response that follows from the request alone (2xx, 400 and 422) is stored before it
// is sent, and a repetition of the request gets it again. All other requests may be
// repeated under the same key, and what they create gets the same id as before.
//
// # Deadlines
//
// The package sets deadlines of the connection on streams only. All other requests have
// the timeouts of the server, so a server must set them.
package api
