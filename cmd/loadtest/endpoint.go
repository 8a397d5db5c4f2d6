package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"gateway/internal/learn"
)

// serveEndpoint is the process "endpoint": the stand-in, the runtime, and a listener with which
// the client controls both. It writes their addresses to out.
func serveEndpoint(ctx context.Context, out io.Writer) error {
	aws, err := newStandIn(ctx)
	if err != nil {
		return err
	}
	defer aws.Close()
	r := &front{aws: aws}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	go r.serve(listener)
	steering, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: r.steering(), ReadHeaderTimeout: 10 * time.Second}
	defer server.Close()
	go func() { _ = server.Serve(steering) }()
	where := places{Control: aws.URL, Runtime: listener.Addr().String(), Steering: "http://" + steering.Addr().String(),
		Environment: []string{}}
	for _, v := range aws.Environment() {
		where.Environment = append(where.Environment, v.Name+"="+v.Value)
	}
	if err := json.NewEncoder(out).Encode(where); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// places are the addresses of the parts of the process.
type places struct {
	Control, Runtime, Steering string
	Environment                []string // variables for an SDK
}

// steering is the control interface for the client.
func (r *front) steering() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /behaviour", func(w http.ResponseWriter, req *http.Request) {
		var b behaviour
		if err := json.NewDecoder(req.Body).Decode(&b); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.become(b)
	})
	mux.HandleFunc("POST /counts", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(r.tally.anew())
	})
	// The artifact of a model that exists, or that has answered before.
	mux.HandleFunc("GET /artifact/{model}", func(w http.ResponseWriter, req *http.Request) {
		model := req.PathValue("model")
		artifact, err := r.aws.Artifact(model)
		if known, found := r.scores.Load(model); found {
			artifact, err = known.(*scored).artifact, nil
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		if err := artifact.Encode(w); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	return mux
}

// endpoint is a client of the process.
type endpoint struct {
	*process
	places
}

// become sets the behaviour of the runtime and resets the counts.
func (e *endpoint) become(ctx context.Context, b behaviour) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	_, err = ask(ctx, http.MethodPost, e.Steering+"/behaviour", "", text)
	return err
}

// counts returns the counts of the runtime since the last reset.
func (e *endpoint) counts(ctx context.Context) (c counts, err error) {
	text, err := ask(ctx, http.MethodPost, e.Steering+"/counts", "", nil)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// artifact returns the artifact of a model.
func (e *endpoint) artifact(ctx context.Context, model string) (*learn.Artifact, error) {
	text, err := ask(ctx, http.MethodGet, e.Steering+"/artifact/"+url.PathEscape(model), "", nil)
	if err != nil {
		return nil, err
	}
	return learn.Decode(bytes.NewReader(text))
}

// endpointName is the default of the gateway's setting.
const endpointName = "ServiceEndpoint"

// ask sends a request that does not belong to the load.
func ask(ctx context.Context, method, url, token string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %.300s", method, url, res.Status, text)
		if res.StatusCode == http.StatusServiceUnavailable {
			err = fmt.Errorf("%w: %w", errUnavailable, err)
		}
	}
	return text, err
}

// errUnavailable is wrapped by the error of a request with status 503.
var errUnavailable = errors.New("unavailable; a retry may help")
