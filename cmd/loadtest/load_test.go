package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gateway/internal/learn"
	"gateway/internal/schema"
)

// TestMain runs the test binary as one of the processes that a run starts, where its
// arguments say so.
func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		main()
		return
	}
	code := m.Run()
	_ = os.RemoveAll(binaries)
	os.Exit(code)
}

// binaries is where the tests' gateway is; empty: none has been built.
var binaries string

// built builds it, once for all tests.
var built = sync.OnceValues(func() (to string, err error) {
	if binaries, err = os.MkdirTemp("", "loadtest-"); err != nil {
		return "", err
	}
	to = filepath.Join(binaries, "gateway")
	return to, build(context.Background(), to, false)
})

// onStage is a gateway and its endpoint, for one test.
func onStage(t *testing.T) *stage {
	t.Helper()
	gateway, err := built()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStage(t.Context(), options{gateway: gateway, dir: t.TempDir()}, &report{out: io.Discard}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Errorf("ending what was started: %v", err)
		}
		for _, p := range s.started {
			if err := syscall.Kill(p.pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("%s, process %d, is still there (%v)", p.name, p.pid, err)
			}
		}
	})
	return s
}

// fire sends n requests over a few connections and returns the answers.
func fire(t *testing.T, to target, conns, requests int) records {
	t.Helper()
	var answered atomic.Int64
	right := to.right
	to.right = func(n int, m *message) bool {
		answered.Add(1)
		return right == nil || right(n, m)
	}
	load, err := start(t.Context(), to, conns, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = until(t.Context(), "enough requests are answered", time.Minute, func() (bool, error) { return int(answered.Load()) >= requests, nil })
	all := load.stop()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryAnswerOfAGatewayUnderLoadIsChecked(t *testing.T) {
	s := onStage(t)
	ctx := t.Context()
	all := fire(t, s.through(ctx), 8, 200)
	if n := len(all.answered(http.StatusOK)); n < 200 || all.wrong() != 0 {
		t.Errorf("%d of %d answered, %d wrong: %v", n, len(all), all.wrong(), all.statuses())
	}
	// The answers are those to other rows: each of them is wrong.
	off := s.through(ctx)
	requests := s.oracle.predictions("/predict", "")
	off.request = func(n int) []byte { return requests[(n+1)%len(requests)] }
	if all := fire(t, off, 8, 50); all.wrong() != len(all.answered(http.StatusOK)) || all.wrong() < 50 {
		t.Errorf("%d of %d answers to other rows were found to be wrong", all.wrong(), len(all))
	}
	// A renewal swaps the model, and the answers name the one that gave them.
	before, err := s.serving(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := s.gateway.renew(ctx); err != nil || r.Status != "succeeded" {
		t.Fatalf("the renewal is %+v (%v)", r, err)
	}
	after, err := s.serving(ctx)
	if err != nil || after == before {
		t.Errorf("%q serves after %q (%v)", after, before, err)
	}
	if all := fire(t, s.through(ctx), 8, 50); all.wrong() != 0 {
		t.Errorf("%d answers of the new model were taken for wrong", all.wrong())
	}
	// Lists have a right score for each row.
	for name, lists := range map[string]target{"lists": s.lists(ctx, 30), "whole calls": s.rawLists(ctx, after, 30)} {
		if all := fire(t, lists, 2, 10); all.wrong() != 0 || len(all.answered(http.StatusOK)) < 10 {
			t.Errorf("%s: %d of %d answers were taken for wrong: %v", name, all.wrong(), len(all), all.statuses())
		}
		request := lists.request
		lists.request = func(n int) []byte { return request(n + 1) }
		if all := fire(t, lists, 2, 10); all.wrong() != len(all) {
			t.Errorf("%s: %d of %d answers to other rows were found to be wrong", name, all.wrong(), len(all))
		}
	}
	// A mixed load has kinds, each with a right answer of its own.
	x, err := newMix(ctx, s.oracle)
	if err != nil {
		t.Fatal(err)
	}
	x.key.Store("unused")
	for _, r := range fire(t, x.target(s.gateway.addr, slices.Concat(x.plain, x.others)), 4, 200) {
		want := x.status(&r)
		if x.names[r.kind] == "without a key" {
			want = http.StatusOK // this gateway wants none
		}
		if int(r.status) != want {
			t.Errorf("%s got %d, want %d", x.names[r.kind], r.status, want)
		}
	}
	if b, err := s.stream(1000); b != (streamed{}) || err != nil {
		t.Errorf("a stream came to %+v (%v)", b, err)
	}
	held, err := s.gateway.holds(ctx)
	if err != nil || held.rss == 0 || held.files == 0 || held.connections == 0 || held.goroutines == 0 || held.heap == 0 || held.cpu == 0 {
		t.Errorf("the gateway holds %+v (%v)", held, err)
	}
}

func TestFaultsAreWhatTheyAreCalled(t *testing.T) {
	s := onStage(t)
	ctx := t.Context()
	model, err := s.serving(ctx)
	if err != nil {
		t.Fatal(err)
	}
	requests := s.oracle.invocations()
	var bodies sync.Map
	direct := target{addr: s.endpoint.Runtime,
		request: func(n int) []byte { return requests[n%len(requests)] },
		right: func(n int, m *message) bool {
			bodies.Store(string(m.body), nil)
			return m.status() != http.StatusOK || s.oracle.raw(ctx, model, n, m.body)
		}}
	for _, tc := range []struct {
		name   string
		b      behaviour
		status map[int]bool // that are seen
		wrong  bool
		says   string
	}{
		{"sound", behaviour{}, map[int]bool{200: true}, false, `"predicted_label"`},
		{"throttled", behaviour{Throttle: .5}, map[int]bool{200: true, 400: true}, false, `{"message":null}`},
		{"reset", behaviour{Reset: .5}, map[int]bool{200: true, 0: true}, false, ""},
		{"not numbers", behaviour{Bad: 1, Nonsense: notANumber}, map[int]bool{200: true}, true, "NaN"},
		{"too few", behaviour{Bad: 1, Nonsense: tooFew}, map[int]bool{200: true}, true, `{"predictions": []}`},
		{"not JSON", behaviour{Bad: 1, Nonsense: notJSON}, map[int]bool{200: true}, true, "Segmentation fault"},
		{"a failing container", behaviour{Bad: 1, Nonsense: serverError}, map[int]bool{424: true}, false, `"OriginalStatusCode":500`},
		{"another model's", behaviour{Bad: 1, Nonsense: serverError, Sound: model}, map[int]bool{200: true}, false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bodies.Clear()
			if err := s.endpoint.become(ctx, tc.b); err != nil {
				t.Fatal(err)
			}
			if _, err := s.endpoint.counts(ctx); err != nil {
				t.Fatal(err)
			}
			all := fire(t, direct, 4, 40)
			for status, n := range all.statuses() {
				if !tc.status[status] {
					t.Errorf("%d answers have status %d", n, status)
				}
			}
			for status := range tc.status {
				if len(all.answered(status)) < len(all)/3 {
					t.Errorf("%d of %d answers have status %d", len(all.answered(status)), len(all), status)
				}
			}
			if wrong := all.wrong() == len(all); wrong != tc.wrong || !wrong && all.wrong() > 0 {
				t.Errorf("%d of %d are wrong", all.wrong(), len(all))
			}
			found := false
			bodies.Range(func(body, _ any) bool { found = found || strings.Contains(body.(string), tc.says); return !found })
			if !found {
				t.Errorf("no answer says %q", tc.says)
			}
			if c, err := s.endpoint.counts(ctx); err != nil || c.Calls < 40 || c.Peak == 0 {
				t.Errorf("the runtime has counted %+v (%v)", c, err)
			}
		})
	}
	t.Run("slow and small", func(t *testing.T) { callsQueueAndTakeTheirTime(t, s) })
}

// callsQueueAndTakeTheirTime is part of the test above, so that both use one gateway.
func callsQueueAndTakeTheirTime(t *testing.T, s *stage) {
	ctx := t.Context()
	if err := s.endpoint.become(ctx, behaviour{Latency: 10 * time.Millisecond, PerRow: 10 * time.Millisecond, Concurrent: 2}); err != nil {
		t.Fatal(err)
	}
	requests := s.oracle.invocations()
	all := fire(t, target{addr: s.endpoint.Runtime, request: func(n int) []byte { return requests[n%len(requests)] }}, 6, 30)
	c, err := s.endpoint.counts(ctx)
	if err != nil || c.MaxConcurrent != 2 {
		t.Errorf("%d calls were served at once (%v), want 2", c.MaxConcurrent, err)
	}
	for _, r := range all {
		if r.took < 20*time.Millisecond {
			t.Errorf("a call took %v, want its 20 ms at least", r.took)
		}
	}
	// A stall holds what is under way, too.
	stall := 300 * time.Millisecond
	began := time.Now()
	if err := s.endpoint.become(ctx, behaviour{StallUntil: began.Add(stall)}); err != nil {
		t.Fatal(err)
	}
	fire(t, target{addr: s.endpoint.Runtime, request: func(n int) []byte { return requests[n%len(requests)] }}, 2, 2)
	if took := time.Since(began); took < stall {
		t.Errorf("a stall of %v was over after %v", stall, took)
	}
}

func TestAnInterruptedRunEndsWhatItStarted(t *testing.T) {
	gateway, err := built()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	ended := make(chan int, 1)
	var errs bytes.Buffer
	go func() { ended <- command(ctx, []string{"-gateway", gateway, "-dir", dir, "crowd"}, io.Discard, &errs) }()
	err = until(t.Context(), "the gateway has been started", time.Minute, func() (bool, error) {
		logs, err := filepath.Glob(filepath.Join(dir, "load-*", "gateway.log"))
		return len(logs) > 0, err
	})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if code := <-ended; code != 1 || !strings.Contains(errs.String(), context.Canceled.Error()) {
		t.Errorf("it ended with %d: %s", code, errs.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left (%v)", left, err)
	}
}

func TestAWrongScenarioOrFlagIsRefused(t *testing.T) {
	for _, args := range [][]string{{"nonsense"}, {"-nonsense"}, {"-soak", "0s"}, {"-rate", "-1"}, {"-stalls", "0s"}} {
		var out, errs bytes.Buffer
		if code := command(t.Context(), args, &out, &errs); code != 2 || errs.Len() == 0 || out.Len() > 0 {
			t.Errorf("%v ended with %d: %s", args, code, errs.String())
		}
	}
	var errs bytes.Buffer
	if code := command(t.Context(), []string{"--help"}, io.Discard, &errs); code != 0 || !strings.Contains(errs.String(), "overload") {
		t.Errorf("--help ended with %d: %s", code, errs.String())
	}
}

func TestTheOracleTellsScoresApart(t *testing.T) {
	rows, err := rowsOf(schema.Bank())
	if err != nil {
		t.Fatal(err)
	}
	distinct := make(map[string]bool)
	for _, r := range rows {
		distinct[string(r.csv)] = true
	}
	if len(distinct) < len(rows)*9/10 {
		t.Errorf("%d of %d rows differ", len(distinct), len(rows))
	}
	o := &oracle{rows: rows, read: func(context.Context, string) (*learn.Artifact, error) { return nil, errors.New("no such model") }}
	if o.right(t.Context(), 0, []byte(`{"score":0.5,"model":"m"}`)) {
		t.Error("an answer of an unknown model counts as right")
	}
	o.known.Store("m", []float64{0.25})
	for body, want := range map[string]bool{
		`{"score":0.25,"model":"m"}`: true, `{"score":0.2500001,"model":"m"}`: false, `{"model":"m"}`: false,
		`{"score":0.25}`: false, ``: false, `{"score":NaN,"model":"m"}`: false,
	} {
		if got := o.right(t.Context(), 7, []byte(body)); got != want {
			t.Errorf("%s is right: %t, want %t", body, got, want)
		}
	}
}
