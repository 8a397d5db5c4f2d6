// Package http1 answers plain requests of HTTP/1.1 for a fraction of what
// net/http's server costs, and leaves everything else to that.
//
// A Listener stands between a listener and an http.Server. It reads the
// connections itself for as long as each request on them is plain:
//
//   - POST to one of the paths that were named, in HTTP/1.1;
//   - with a body whose length is told, and which arrives with its header, both
//     within a few kilobytes;
//   - with no header twice, none that says how the connection is to go on
//     (Transfer-Encoding, Expect, Upgrade, …), none that net/http would change,
//     and no byte that needs to be thought about.
//
// With the first one that is not, the connection goes to the http.Server, with
// all of its bytes from the beginning of that request on, and stays there. So
// nothing is ever refused here, there is one server that knows the whole of the
// protocol, and the reader of this one can be strict and short: a request that
// it takes, net/http takes too, and sees the same in it.
//
// The header of such a request may have at most 128 lines.
//
//	server.ConnState = http1.ConnState
//	l := http1.Listen(inner, http1.Options{Handler: h, Paths: []string{"/predict"}})
//	server.Serve(l)   // the same handler, for the other connections
//	…
//	l.Shutdown(ctx)
//	server.Shutdown(ctx)
//
// Handlers see an *http.Request and an http.ResponseWriter as ever, with three
// differences. The answer is held in memory until the handler has returned, so
// it has one length and one write, and the writer is neither a Flusher nor a
// Hijacker. The request, its header and its body are used again for the next one
// on the connection: a handler that has returned must not use them. And the
// request's context ends with the connection, not with the request.
package http1
