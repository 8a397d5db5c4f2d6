// Package httpserver is the HTTP server of the gateway: a listener that can stop
// without resetting a connection, bounds on connections, HTTP/2 without TLS, and
// the answers of a gateway that is still starting.
//
//	listener, err := httpserver.Listen("127.0.0.1:8080", httpserver.MaxConnections(1024), proxies)
//	startup := httpserver.NewStartupServer(api.Starting(), listener)
//	...
//	server := httpserver.New(listener, httpserver.Options{Handler: handler})
//	go server.Serve()
//	...
//	err = server.Shutdown(ctx, 3*time.Second)
//
// The requests that apps send most are read by the package http1 below this one.
package httpserver
