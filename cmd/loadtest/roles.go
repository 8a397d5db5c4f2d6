package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"

	"github.com/go-chi/chi/v5"
)

// roleVariable is the environment variable that makes this program play a role.
const roleVariable = "LOADTEST_ROLE"

// play plays a role until standard input is closed, which happens when the client ends.
func play(name string, args []string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	switch name {
	case "endpoint":
		return serveEndpoint(ctx, os.Stdout)
	case "batch":
		return playBatch(ctx, os.Stdout, args)
	case "floor":
		return servePeer(ctx, os.Stdout, floor())
	case "neighbours":
		return playNeighbours(ctx, os.Stdout, args)
	case "proxy":
		handler, err := proxy(args)
		if err != nil {
			return err
		}
		return servePeer(ctx, os.Stdout, handler)
	}
	return fmt.Errorf("unknown role %q", name)
}

// servePeer serves handler and writes its address to out.
func servePeer(ctx context.Context, out io.Writer, handler http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	<-ctx.Done()
	return server.Close()
}

// floor is a lower bound for the cost of a gateway on net/http: a router with a fixed answer,
// which does not read the body.
func floor() http.Handler {
	answer := []byte(`{"prediction_id":"00000000-0000-7000-8000-000000000000","score":0.5,"predicted_label":1,"model":"none","schema":"none"}` + "\n")
	r := chi.NewRouter()
	r.Post("/predict", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})
	return r
}

// proxy is the proxy of the standard library, with as many idle connections as concurrent
// requests.
func proxy(args []string) (http.Handler, error) {
	if len(args) != 1 {
		return nil, fmt.Errorf("proxy: want one argument, the address of the server behind it")
	}
	to := &url.URL{Scheme: "http", Host: args[0]}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 1024},
		ErrorLog:  log.New(io.Discard, "", 0),
	}, nil
}
