package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/modelswap"
	"gateway/internal/modelswap/modelswaptest"
	"gateway/internal/predict"
	"gateway/internal/schema"

	"github.com/prometheus/client_golang/prometheus"
)

// lastEventID is the id of the last event of an answer.
func lastEventID(a answer) (id string) {
	for line := range strings.Lines(a.body) {
		if text, ok := strings.CutPrefix(line, "id: "); ok {
			id = strings.TrimSpace(text)
		}
	}
	return id
}

func TestEvents(t *testing.T) {
	b := setup(t)
	r, err := b.client.Retrain(t.Context(), api.RetrainRequest{})
	if err != nil {
		t.Fatal(err)
	}
	changes := []func(r *modelswap.Renewal){
		func(r *modelswap.Renewal) { r.Status = modelswap.Running },
		func(r *modelswap.Renewal) { r.Cancelling, r.Revision = true, r.Revision-1 }, // a wish is no new revision
		func(r *modelswap.Renewal) { r.Status, r.Cancelling = modelswap.Cancelled, false },
	}
	var got []string
	for r, err := range b.client.Events(t.Context(), r.ID) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %v", r.Status, r.Cancelling))
		if len(changes) > 0 {
			b.save(r.ID, changes[0])
			changes = changes[1:]
		}
	}
	if all := strings.Join(got, ", "); all != "queued false, running false, running true, cancelled false" {
		t.Errorf("got %s", all)
	}

	path := "/admin/renewals/" + r.ID + "/events"
	a := b.asOperator("GET", path, "").want(200)
	if lines := a.lines(); a.header.Get("Content-Type") != "text/event-stream" || len(lines) != 4 || lines[0] != "id: 3" ||
		lines[1] != "event: renewal" || !strings.HasPrefix(lines[2], `data: {"id":"`+r.ID) || lines[3] != "" {
		t.Errorf("an ended renewal is told as %v %q", a.header, a.body)
	}
	if a := b.asOperator("GET", path, "", "Last-Event-ID: 2").want(200); lastEventID(a) != "3" {
		t.Errorf("after event 2: %q", a.body)
	}
	if a := b.asOperator("GET", path, "", "Last-Event-ID: 3").want(204); a.body != "" {
		t.Errorf("after the last event: %q", a.body)
	}
	if a := b.asOperator("HEAD", path, "").want(200); a.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %v", a.header)
	}
	b.asOperator("GET", "/admin/renewals/none/events", "").problem(404)
	b.do("GET", path, "").problem(401)
	var p *edge.Problem
	for _, err := range b.client.Events(t.Context(), "none") {
		if !errors.As(err, &p) || p.Status != 404 {
			t.Errorf("got %v", err)
		}
	}
}

func TestEventsOfWorkThatAnotherProcessDoes(t *testing.T) {
	schema, err := schema.Parse("small.yaml", []byte("name: small\nid: customer_id\n"+
		"label: {name: y, positive: [1], negative: [0]}\nfeatures:\n  - {name: x, type: number}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var customers []predict.Customer
	for i := range 500 {
		label := i % 2
		customers = append(customers, predict.Customer{ID: fmt.Sprint(i), Label: &label, Features: fmt.Appendf(nil, `{"x":%d}`, 2-label)})
	}
	backend := modelswaptest.New(schema, customers)
	b := setup(t, withPorts(backend.Ports()), func(_ *bundle, _ *api.Options, p *parts) { p.schema = schema })
	worker := modelswap.New(backend.Ports(), modelswap.Options{Schema: schema, TempDir: t.TempDir(), Poll: time.Millisecond, Heartbeat: time.Millisecond, MaxPause: time.Millisecond},
		slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); worker.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })

	follow := func(id string) (last *modelswap.Renewal) {
		for r, err := range b.client.Events(t.Context(), id) {
			if err != nil {
				t.Fatal(err)
			}
			last = r
		}
		return last
	}
	r, err := b.client.Retrain(t.Context(), api.RetrainRequest{Overrides: modelswap.Overrides{
		Training: modelswap.Training{Algorithm: "xgboost"}, Hyperparameters: modelswap.Hyperparameters{"num_round": "0"}}})
	if err != nil {
		t.Fatal(err)
	}
	if r = follow(r.ID); r.Status != modelswap.Failed || r.Step(modelswap.Train).Status != modelswap.StepFailed {
		t.Fatalf("got %+v", r)
	}
	r, err = b.client.Resume(t.Context(), r.ID, api.ResumeRequest{Overrides: modelswap.Overrides{Hyperparameters: modelswap.Hyperparameters{"num_round": "9"}}})
	if err != nil {
		t.Fatal(err)
	}
	if r = follow(r.ID); r.Status != modelswap.Succeeded || r.Step(modelswap.Export).Attempt != 1 || r.Step(modelswap.Train).Attempt != 2 {
		t.Fatalf("got %+v", r)
	}
	var full api.RenewalInFull
	b.asOperator("GET", "/admin/renewals/"+r.ID, "").want(200).decode(&full)
	tried := 0
	for _, s := range full.Attempts {
		if s.Name == modelswap.Train {
			tried++
		}
	}
	if tried != 2 {
		t.Errorf("attempts %+v", full.Attempts)
	}
}

func TestEventsOutliveTheServersTimeouts(t *testing.T) {
	b := setup(t)
	server := httptest.NewUnstartedServer(b.handler)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	b.client.BaseURL = server.URL
	r, err := b.client.Retrain(t.Context(), api.RetrainRequest{})
	if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Second, func() { b.save(r.ID, func(r *modelswap.Renewal) { r.Status = modelswap.Cancelled }) })
	t.Cleanup(func() { timer.Stop() })
	var last *modelswap.Renewal
	for r, err := range b.client.Events(t.Context(), r.ID) {
		if err != nil {
			t.Fatal(err)
		}
		last = r
	}
	if last.Status != modelswap.Cancelled {
		t.Errorf("got %s", last.Status)
	}
}

func TestEventsEndWithTheServer(t *testing.T) {
	b := setup(t)
	r, err := b.client.Retrain(t.Context(), api.RetrainRequest{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: b.handler}
	go func() { _ = server.Serve(listener) }()
	b.client.BaseURL = "http://" + listener.Addr().String()
	told, end := make(chan struct{}), make(chan error)
	go func() {
		for r, err := range b.client.Events(t.Context(), r.ID) {
			if r != nil {
				close(told)
				continue
			}
			end <- err
		}
	}()
	<-told
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Errorf("shutting down: %v", err)
	}
	if err := <-end; err == nil || !strings.Contains(err.Error(), "break off before the renewal has ended") {
		t.Errorf("got %v", err)
	}
}

func TestEventsEndWhenTheCallerLeaves(t *testing.T) {
	b := setup(t)
	r, err := b.client.Retrain(t.Context(), api.RetrainRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range b.client.Events(t.Context(), r.ID) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	b.logs.await(t, `"route":"/admin/renewals/{id}/events","status":200`)
	if strings.Contains(b.logs.String(), `"level":"ERROR"`) {
		t.Errorf("the log has %s", b.logs)
	}
}

// TestWatchersShareOnePollOfTheDatabase counts the looks at the database that
// many watchers of one renewal cause, with a fake clock.
func TestWatchersShareOnePollOfTheDatabase(t *testing.T) {
	b := setup(t)
	r, err := b.client.Retrain(t.Context(), api.RetrainRequest{})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		const watchers = 100 // as many as may
		ctx, leave := context.WithCancel(t.Context())
		watch := func() *httptest.ResponseRecorder {
			req := httptest.NewRequestWithContext(ctx, "GET", "/admin/renewals/"+r.ID+"/events", nil)
			req.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			go b.handler.ServeHTTP(w, req)
			return w
		}
		looked := func() int64 { return b.swap.looks.Load() }
		before := looked()
		var all []*httptest.ResponseRecorder
		for range watchers {
			all = append(all, watch())
		}
		synctest.Wait()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := looked() - before; n < 30 || n > 50 { // every 250 ms
			t.Errorf("%d watchers looked at the database %d times in 10 s, want 41 times together", watchers, n)
		}
		for i, w := range all {
			if strings.Count(w.Body.String(), "event: renewal\n") != 1 {
				t.Errorf("watcher %d was told %q", i, w.Body)
			}
		}
		surplus := watch()
		synctest.Wait()
		if surplus.Code != 503 || surplus.Header().Get("Retry-After") == "" {
			t.Errorf("one watcher more got %d, %v", surplus.Code, surplus.Header())
		}
		leave()
		synctest.Wait()
		before = looked()
		time.Sleep(10 * time.Second)
		if n := looked() - before; n > 0 {
			t.Errorf("after the last watcher has left there were %d looks", n)
		}
		ctx, leave = context.WithCancel(t.Context())
		again := watch()
		synctest.Wait()
		if again.Code != 200 || !strings.Contains(again.Body.String(), "event: renewal\n") {
			t.Errorf("a watcher after that got %d, %q", again.Code, again.Body)
		}
		leave()
	})
}

// The gateway's clock is a fake one here, and there is no network.
func TestEventsBeatWhileNothingChanges(t *testing.T) {
	b := setup(t)
	r, err := b.client.Retrain(t.Context(), api.RetrainRequest{})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		get := func(headers ...string) (told func() string, stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			req := httptest.NewRequestWithContext(ctx, "GET", "/admin/renewals/"+r.ID+"/events", nil)
			req.Header.Set("Authorization", "Bearer "+token)
			for _, h := range headers {
				name, value, _ := strings.Cut(h, ": ")
				req.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			go func() {
				defer func() { _, _ = io.WriteString(w, "broken off: "+fmt.Sprint(recover())) }()
				b.handler.ServeHTTP(w, req)
			}()
			return func() string { synctest.Wait(); return w.Body.String() }, cancel
		}
		const beat = ": still here\n\n"
		told, stop := get()
		time.Sleep(46 * time.Second)
		if text := told(); strings.Count(text, beat) != 3 || strings.Count(text, "id: 1\nevent: renewal\ndata: ") != 1 {
			t.Errorf("told %q", text)
		}
		stop()
		if text := told(); !strings.HasSuffix(text, beat+"broken off: <nil>") {
			t.Errorf("the end is %q", text)
		}

		told, stop = get("Last-Event-ID: 1")
		time.Sleep(time.Second)
		if text := told(); text != "" {
			t.Errorf("what is known is told again: %q", text)
		}
		b.save(r.ID, func(*modelswap.Renewal) {}) // a claim is a revision, and no change
		time.Sleep(time.Second)
		if text := told(); text != "" {
			t.Errorf("what has not changed is told again: %q", text)
		}
		b.swap.setErr(errTest)
		time.Sleep(20 * time.Second)
		b.swap.setErr(nil)
		b.save(r.ID, func(r *modelswap.Renewal) { r.Status = modelswap.Running })
		time.Sleep(time.Second)
		if text := told(); strings.Count(text, "id: 3\n") != 1 {
			t.Errorf("after a store that was away: %q", text)
		}
		b.swap.setErr(errTest)
		time.Sleep(31 * time.Second)
		if text := told(); !strings.HasSuffix(text, "broken off: "+http.ErrAbortHandler.Error()) {
			t.Errorf("with a store that stays away: %q", text)
		}
		stop()
		b.swap.setErr(nil)
	})
}
