// Package wire sends requests that differ in few places to one host over
// HTTP/1.1, signed with AWS Signature Version 4, at a low cost for each request.
//
// A RequestTemplate is made from a request that another client has built and
// signed. It signs the same request itself and must get the same signature, or it is
// refused. A Pool keeps connections. Do writes a request and reads its answer in the
// caller's goroutine, usually with one write and one blocking read.
//
//	template, err := wire.NewTemplate(signed, body, secret)
//	request := template.Append(nil, &wire.Values{Time: now, …}, body)
//	answer, err := pool.Do(ctx, request)
//	defer answer.Release()
//
// The package parses plain answers itself: a status of 2xx with a Content-Length.
// It leaves all others to net/http: errors, chunked bodies, and bodies that end with
// the connection. It makes no retries and follows no redirects. It depends on no
// particular AWS service.
package wire
