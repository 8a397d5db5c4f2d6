package modelswap_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/modelswap"
)

// TestEachEndOfARenewalIsToldOnceAndOnlyWhenItIsSaved goes through ends
// of three kinds, the second after a resume.
func TestEachEndOfARenewalIsToldOnceAndOnlyWhenItIsSaved(t *testing.T) {
	b := setup(t)
	told := make(chan modelswap.Status, 8)
	b.engine = modelswap.New(b.Ports(), modelswap.Options{Schema: b.Schema, TempDir: t.TempDir(), Poll: time.Millisecond, Heartbeat: time.Millisecond, MaxPause: time.Millisecond,
		Ended: func(r *modelswap.Renewal) {
			saved, err := b.Ports().Renewals.Renewal(context.Background(), r.ID)
			if err != nil || saved.Status != r.Status || r.FinishedAt == nil {
				t.Errorf("told of %s while %+v is saved (%v)", r.Status, saved, err)
			}
			told <- r.Status
		}}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { b.engine.Run(ctx) })
	// The end is saved first and told then: what comes next must wait for both.
	tells := func(want modelswap.Status) {
		t.Helper()
		select {
		case got := <-told:
			if got != want {
				t.Errorf("told of %s, want %s", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("Ended was not called for %s", want)
		}
	}

	failed := b.renew(t, modelswap.TriggerRequest{Overrides: badRounds()})
	tells(modelswap.Failed)
	if _, err := b.engine.Resume(ctx, failed.ID, modelswap.ResumeRequest{
		Overrides: modelswap.Overrides{Hyperparameters: modelswap.Hyperparameters{"num_round": "5"}}}); err != nil {
		t.Fatal(err)
	}
	tells(modelswap.Succeeded)

	reached, release := b.hold("StartExport")
	r, err := b.engine.Trigger(ctx, modelswap.TriggerRequest{})
	if err != nil {
		t.Fatal(err)
	}
	<-reached
	if _, err := b.engine.Cancel(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	close(release)
	tells(modelswap.Cancelled)

	stop()
	running.Wait()
	if len(told) > 0 {
		t.Errorf("told again, of %s", <-told)
	}
}
