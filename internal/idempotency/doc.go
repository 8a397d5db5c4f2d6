// Package idempotency lets a caller repeat a request without its effect
// happening twice: who sends the same request under the same key gets the
// answer that the first one got, from whichever replica it asks.
//
// Its one type is [Guard], over a store that all replicas share, the port
// [Keys]:
//
//	answer, outcome, err := guard.Do(ctx, idempotency.Request{Scope: "/predict", Key: key, Body: body},
//		func(subject string) (idempotency.Answer, bool) {
//			// make the thing that is asked for under the id subject
//			return answer, true // keep it for those who repeat the request
//		})
//
// # The life of a key
//
// The first request claims the key: a row that holds a fingerprint of the
// request, a lease, and a subject, which is the id that the thing asked for is
// to bear. The row is durable before the request is handled, and the answer is
// in it before the caller has it. From then on repetitions get that answer,
// until the key expires. Another request under the same key is [ErrReused].
//
// Who comes while the first is being handled waits for it, as long as its
// context lasts, and is then told [ErrInProgress]. A process that dies while it
// handles a request keeps the key until its lease runs out; the next repetition
// then claims it again, and handles the request under the same subject. Hence
// what was made before the death is found by its id, and not made again. The
// same happens after an answer that is not worth keeping, such as a failure of
// the database: the lease ends at once, subject and fingerprint stay.
//
// # What it refuses to know
//
// It is independent of HTTP and of what the requests mean: the caller decides
// which answers are stored. Neither keys nor bodies are stored, for both may be
// personal. A key is stored as a hash, and the fingerprint of a body is a hash
// salted with the key, so that the body cannot be found by trying candidates.
package idempotency
