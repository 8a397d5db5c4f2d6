// Package wire sends requests that differ little, to one host, for as little
// as HTTP/1.1 with a signature (AWS Signature Version 4) costs.
//
// A Form is a request of which few things change: it is cut from one that
// another client has built and signed, and proves itself by making the same
// signature. A Pool keeps connections; Do writes a request and reads its answer
// in the caller's goroutine: one write, and mostly one read that waits.
//
//	form, err := wire.NewTemplate(signed, body, secret)
//	request := form.Append(nil, &wire.Values{Time: now, …}, body)
//	answer, err := pool.Do(ctx, request)
//	defer answer.Release()
//
// What is plain is read by hand, and everything else by net/http: errors,
// chunks, answers that end with their connection. The package repeats nothing
// and follows nothing: what is to be done about a failure its caller decides.
// It knows nothing of any service.
package wire
