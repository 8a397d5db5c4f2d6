// Package http1 answers plain requests of HTTP/1.1 at a fraction of the cost of net/http's
// server. All other requests are answered by net/http.
//
// A Listener is placed between a listener and an http.Server. It reads a connection as long
// as each request on it is plain:
//
//   - It is a POST to one of the configured paths, in HTTP/1.1.
//   - It has a Content-Length, and header and body arrive together and have at most 4 KiB.
//   - It has no header that controls the connection (Transfer-Encoding, Expect, Upgrade, …)
//     or that net/http would change, and no header with unusual characters.
//
// The first request that is not plain is passed to the http.Server with all of its bytes,
// and the connection stays there. So this package refuses no request and implements a part
// of the protocol only. Whatever it accepts, net/http accepts too, with the same meaning.
//
// The header of a request that is passed on may have at most 128 lines.
//
//	server.ConnState = http1.ConnState
//	l := http1.Listen(inner, http1.Options{Handler: h, Paths: []string{"/predict"}})
//	server.Serve(l)   // the same handler, for the other connections
//	…
//	l.Shutdown(ctx)
//	server.Shutdown(ctx)
//
// Handlers get an *http.Request and an http.ResponseWriter, with three differences from
// net/http:
//
//   - The response is held in memory until the handler has returned, and then has a
//     Content-Length and is written at once. The writer is neither a Flusher nor a Hijacker.
//   - The memory of the request, its header and its body is used again for later requests. A
//     handler must not use them after it has returned.
//   - The request's context ends with the connection, not with the request.
package http1
