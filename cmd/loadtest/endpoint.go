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

// serveEndpoint is the process `endpoint`: stand-in, runtime, and a listener by
// which the client steers both. It says on out where they are.
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

// places is where the parts of the process are.
type places struct {
	Control, Runtime, Steering string
	Environment                []string // for an SDK to find the stand-in
}

// steering is what the client may order and ask.
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
	// The artifact of a model that is there, or was when it answered.
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

// endpoint is the process as the client sees it.
type endpoint struct {
	*process
	places
}

// become makes the runtime behave so, and begins new counts.
func (e *endpoint) become(ctx context.Context, b behaviour) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	_, err = ask(ctx, http.MethodPost, e.Steering+"/behaviour", "", text)
	return err
}

// counts returns what the runtime saw since it was last asked.
func (e *endpoint) counts(ctx context.Context) (c counts, err error) {
	text, err := ask(ctx, http.MethodPost, e.Steering+"/counts", "", nil)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// artifact reads a model by its name.
func (e *endpoint) artifact(ctx context.Context, model string) (*learn.Artifact, error) {
	text, err := ask(ctx, http.MethodGet, e.Steering+"/artifact/"+url.PathEscape(model), "", nil)
	if err != nil {
		return nil, err
	}
	return learn.Decode(bytes.NewReader(text))
}

// endpointName is the gateway's default.
const endpointName = "ServiceEndpoint"

// ask is a request that is no load.
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

// errUnavailable is a 503: asking again may help.
var errUnavailable = errors.New("come again")
