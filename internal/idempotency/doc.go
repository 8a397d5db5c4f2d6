// Package idempotency makes requests repeatable: a request that is sent again with the same
// idempotency key has no second effect, and gets the response to the first one, from any
// replica.
//
// [Guard] does this with a store that all replicas share, the port [Keys]:
//
//	answer, result, err := guard.Do(ctx, idempotency.Request{Scope: "/predict", Key: key, Body: body}, limits,
//		func(subject string) (idempotency.Answer, bool) {
//			// create the requested object with the id subject
//			return answer, true // store the answer for repetitions
//		})
//
// # The life of a key
//
// The first request claims the key. The store then has a row with a fingerprint of the
// request, a lease, and a subject: the id of the object that the request creates. The row is
// durable before the request is handled, and the answer is stored in it before the caller
// gets it. Repetitions get that answer until the key expires. Another request with the same
// key gets [ErrReused].
//
// A repetition that arrives while the first request is being handled waits for it. If its
// context ends first, it gets [ErrInProgress]. If a process ends while it handles a request,
// its lease expires. The next repetition then claims the key again, and handles the request
// with the same subject, so that an object which was created before is found by its id and
// not created again. The same holds after an answer that is not stored, such as a failure of
// the database: the lease ends at once, and subject and fingerprint stay.
//
// # What is stored
//
// The package is independent of HTTP and of what requests mean: the caller decides which
// answers are stored. Neither keys nor bodies are stored, because both may be personal. A key
// is stored as a hash. The fingerprint of a body is a hash salted with the key, so that the
// body cannot be found by trying candidates.
package idempotency
