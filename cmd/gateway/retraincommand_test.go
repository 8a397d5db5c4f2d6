package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gateway/api"
	"gateway/api/client"
	"gateway/api/edge"
	"gateway/internal/modelswap"
)

// renewalAt is a renewal whose training runs, or, with a status, has ended.
func renewalAt(status modelswap.Status, detail map[string]any) *modelswap.Renewal {
	begin := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	end := begin.Add(1500 * time.Millisecond)
	train := modelswap.Step{Name: modelswap.Train, Status: modelswap.StepRunning, Attempt: 2, StartedAt: &begin, Detail: detail}
	if status.Final() {
		train.Status, train.FinishedAt = modelswap.StepSucceeded, &end
	}
	return &modelswap.Renewal{ID: "r1", Status: status, Steps: []modelswap.Step{
		{Name: modelswap.Export, Status: modelswap.StepSucceeded, Attempt: 1, StartedAt: &begin, FinishedAt: &end, Detail: map[string]any{"items": 7}},
		train,
		{Name: modelswap.Register, Status: modelswap.StepPending},
	}}
}

func event(r *modelswap.Renewal) string {
	text, _ := json.Marshal(r)
	return fmt.Sprintf("id: 1\nevent: renewal\ndata: %s\n\n", text)
}

// TestWatchingFallsBackToLooking has a gateway whose events break off, which is
// then away for a while, and one without events at all.
func TestWatchingFallsBackToLooking(t *testing.T) {
	running := renewalAt(modelswap.Running, map[string]any{"retries": 1, "last_error": "the platform throttles"})
	again := renewalAt(modelswap.Running, map[string]any{"retries": 2, "last_error": "the platform throttles still"})
	done := renewalAt(modelswap.Succeeded, map[string]any{"retries": 2, "algorithm": "xgboost"})
	for name, withEvents := range map[string]bool{"with events": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			var streams, looks atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/events") {
					switch n := streams.Add(1); {
					case !withEvents:
						http.Error(w, "what is that?", http.StatusNotFound)
					case n == 1:
						fmt.Fprint(w, event(running))
					case n == 2:
						http.Error(w, "bad gateway", http.StatusBadGateway)
					default:
						fmt.Fprint(w, ": still here\n\n"+event(again)+event(done))
					}
					return
				}
				switch n := looks.Add(1); {
				case n == 1:
					http.Error(w, "bad gateway", http.StatusBadGateway)
				case n == 2:
					_ = json.NewEncoder(w).Encode(again)
				default:
					_ = json.NewEncoder(w).Encode(done)
				}
			}))
			defer server.Close()
			var out bytes.Buffer
			r, err := watch(t.Context(), &out, &client.Client{BaseURL: server.URL}, running)
			if err != nil || r.Status != modelswap.Succeeded {
				t.Fatalf("got %+v, %v", r, err)
			}
			want := "export    succeeded    1.50 s  items: 7\n" +
				"train     running   attempt 2\n" +
				"train     retries: 1  last_error: the platform throttles\n" +
				"train     retries: 2  last_error: the platform throttles still\n" +
				"train     succeeded attempt 2    1.50 s  algorithm: xgboost  retries: 2\n"
			if out.String() != want {
				t.Errorf("got\n%s\nwant\n%s", out.String(), want)
			}
			if n := streams.Load(); !withEvents && n != 1 {
				t.Errorf("asked %d times for events that there are not", n)
			}
		})
	}
}

func TestWatchingEndsWhereThereIsNothingToWatch(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if _, err := watch(t.Context(), &bytes.Buffer{}, &client.Client{BaseURL: server.URL}, renewalAt(modelswap.Running, nil)); !hopeless(err) {
		t.Errorf("got %v", err)
	}
}

func TestProgressMovesAlongOnATerminal(t *testing.T) {
	var out bytes.Buffer
	view := newRenewalView(&out)
	view.terminal = true
	for _, done := range []float64{.25, .5} {
		view.show(renewalAt(modelswap.Running, map[string]any{"progress": done}))
	}
	view.show(renewalAt(modelswap.Succeeded, map[string]any{"progress": 1.0}))
	if !strings.Contains(out.String(), "\r\x1b[Ktrain      25 %\r\x1b[Ktrain      50 %\ntrain     succeeded") {
		t.Errorf("got %q", out.String())
	}
	out.Reset()
	view = newRenewalView(&out)
	view.show(renewalAt(modelswap.Running, map[string]any{"progress": .25}))
	view.progress = time.Now().Add(-plainEvery)
	view.show(renewalAt(modelswap.Running, map[string]any{"progress": .5}))
	if got := out.String(); strings.Contains(got, "25 %") || !strings.Contains(got, "train      50 %\n") {
		t.Errorf("without a terminal: %q", got)
	}
}

// TestResumingOnTheCommandLine lets a renewal fail at the trainer and go on
// with another setting, without a gateway that runs.
func TestResumingOnTheCommandLine(t *testing.T) {
	for _, args := range [][]string{{"--from", "train"}, {"--resume", "r1", "--force"}, {"--resume", "r1", "--reason", "why"}} {
		if code, _, errs := command(t, append([]string{"retrain"}, args...)...); code != exitUsage {
			t.Errorf("%v ended with %d: %s", args, code, errs)
		}
	}
	g := serveFilled(t, newConfig(t))
	failed := g.renew(t, api.RetrainRequest{Overrides: modelswap.Overrides{
		Training: modelswap.Training{Algorithm: "xgboost"}, Hyperparameters: modelswap.Hyperparameters{"num_round": "0"}}})
	if failed.Status != modelswap.Failed {
		t.Fatalf("got %+v", failed)
	}
	code, out, errs := command(t, "retrain", "--url", g.url, "--watch", "--resume", failed.ID,
		"--overrides", `{"gate":"off","hyperparameters":{"num_round":"5"}}`)
	if code != exitOK || !strings.Contains(out, "train     succeeded attempt 2") || !strings.Contains(out, "renewal "+failed.ID+" is succeeded") {
		t.Errorf("retrain --resume ended with %d: %s%s", code, out, errs)
	}
	if code, _, errs = command(t, "retrain", "--url", g.url, "--resume", failed.ID); code != exitFailed || !strings.Contains(errs, "succeeded") {
		t.Errorf("resuming what succeeded ended with %d: %s", code, errs)
	}
}

// TestRetrainingAsksAgain has a gateway whose connection breaks after the
// request was sent, which then restarts, and still holds the key when it is back.
func TestRetrainingAsksAgain(t *testing.T) {
	var asked atomic.Int64
	keys := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		keys <- r.Header.Get("Idempotency-Key")
		switch asked.Add(1) {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			http.Error(w, "bad gateway", http.StatusBadGateway)
		case 3:
			w.WriteHeader(http.StatusConflict)
			fmt.Fprintf(w, `{"type":%q,"title":"In progress","status":409}`, edge.TypeInProgress)
		default:
			w.WriteHeader(http.StatusAccepted)
			_ = json.NewEncoder(w).Encode(renewalAt(modelswap.Queued, nil))
		}
	}))
	defer server.Close()
	code, out, errs := command(t, "retrain", "--url", server.URL, "--token", "t")
	if code != exitOK || !strings.Contains(out, "renewal r1 is queued") || strings.Count(errs, "trying again") != 1 {
		t.Errorf("ended with %d: %s%s", code, out, errs)
	}
	first := <-keys
	for range asked.Load() - 1 {
		if again := <-keys; again != first || first == "" {
			t.Errorf("keys %q and %q", first, again)
		}
	}
}

func TestRetrainingDoesNotAskAgainInVain(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"type":"urn:gateway:problem:conflict","title":"Conflict","status":409,"detail":"renewal r0 is still running"}`)
	}))
	if code, _, errs := command(t, "retrain", "--url", server.URL, "--token", "t"); code != exitFailed || !strings.Contains(errs, "r0") || asked.Load() != 1 {
		t.Errorf("a conflict: ended with %d after %d requests: %s", code, asked.Load(), errs)
	}
	server.Close()
	if code, _, errs := command(t, "retrain", "--url", server.URL, "--token", "t"); code != exitFailed || strings.Contains(errs, "again") {
		t.Errorf("no gateway there: ended with %d: %s", code, errs)
	}
	for _, args := range [][]string{{"--idempotency-key", "a b"}, {"--resume", "r1", "--idempotency-key", "k"}} {
		if code, _, errs := command(t, append([]string{"retrain"}, args...)...); code != exitUsage {
			t.Errorf("%v ended with %d: %s", args, code, errs)
		}
	}
}

// TestRetrainingUnderAKeyStartsOneRenewal asks a gateway twice, and once more
// after it has restarted.
func TestRetrainingUnderAKeyStartsOneRenewal(t *testing.T) {
	cfg := newConfig(t)
	g := serveFilled(t, cfg)
	code, first, errs := command(t, "retrain", "--url", g.url, "--watch", "--idempotency-key", "nightly-2026-11-23")
	if code != exitOK || !strings.Contains(first, "is succeeded") {
		t.Fatalf("ended with %d: %s%s", code, first, errs)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	g = serve(t, cfg)
	code, again, errs := command(t, "retrain", "--url", g.url, "--watch", "--idempotency-key", "nightly-2026-11-23")
	if code != exitOK || lastRenewal(again) != lastRenewal(first) {
		t.Errorf("ended with %d: %s%s", code, again, errs)
	}
	list, err := g.client.Renewals(t.Context(), 10, "")
	if err != nil || len(list) != 2 { // the demo's first one, and this
		t.Errorf("there are %d renewals, %v", len(list), err)
	}
}

// lastRenewal is the id in the line "renewal ID is …".
func lastRenewal(out string) string {
	_, rest, _ := strings.Cut(out, "\nrenewal ")
	id, _, _ := strings.Cut(rest, " ")
	return id
}

// A gateway whose database is down logs each request that fails: so the command
// asks less and less often.
func TestRetrainAsksAGatewayWithoutDatabaseLessAndLessOften(t *testing.T) {
	for name, ask := range map[string]func(context.Context, *client.Client) error{
		"to begin": func(ctx context.Context, client *client.Client) error {
			_, err := retrainCommand{}.begin(ctx, io.Discard, client, modelswap.Overrides{})
			return err
		},
		"to watch": func(ctx context.Context, client *client.Client) error {
			_, err := watch(ctx, io.Discard, client, &modelswap.Renewal{ID: "r", Status: modelswap.Running})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				requests := 0
				down := roundTrip(func(r *http.Request) (*http.Response, error) {
					requests++
					header := http.Header{"Content-Type": {"application/problem+json"}}
					return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: header, Request: r,
						Body: io.NopCloser(strings.NewReader(`{"title":"unavailable","status":503,"detail":"the database does not answer"}`))}, nil
				})
				start := time.Now()
				err := ask(t.Context(), &client.Client{BaseURL: "http://gateway.test", HTTP: &http.Client{Transport: down}})
				var problem *edge.Problem
				if !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable {
					t.Errorf("got %v, want the gateway's answer", err)
				}
				if took := time.Since(start); took < watchPatience || took > watchPatience+2*maxWatchWait {
					t.Errorf("it gave up after %s", took)
				}
				if requests < 5 || requests > 15 {
					t.Errorf("it sent %d requests, want about ten", requests)
				}
			})
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCountsOfStepsAreWrittenAsIntegers(t *testing.T) {
	done := renewalAt(modelswap.Succeeded, map[string]any{"rows": 1_000_000, "train_rows": 12_345_678, "retries": 2_000_000})
	done.Steps[0].Detail = map[string]any{"items": 1_000_000}
	text, err := json.Marshal(done)
	if err != nil {
		t.Fatal(err)
	}
	var read modelswap.Renewal // as the command gets it
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"items: 1000000", "rows: 1000000  train_rows: 12345678  retries: 2000000"} {
		if line := stepLine(read.Steps[i]); !strings.Contains(line, want) {
			t.Errorf("got %q, want %q in it", line, want)
		}
	}
	var out bytes.Buffer
	v := renewalView{out: &out, retries: make(map[modelswap.StepName]string)}
	v.showRetries(read.Steps[1])
	if !strings.Contains(out.String(), "retries: 2000000 ") {
		t.Errorf("got %q", out.String())
	}
}
