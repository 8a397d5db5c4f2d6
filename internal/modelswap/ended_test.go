package modelswap_test

import (
	"context"
	"log/slog"
	"slices"
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
	var mu sync.Mutex
	var told []modelswap.Status
	b.engine = modelswap.New(b.Ports(), modelswap.Options{Schema: b.Schema, Poll: time.Millisecond, Heartbeat: time.Millisecond, MaxPause: time.Millisecond,
		Ended: func(r *modelswap.Renewal) {
			saved, err := b.Ports().Renewals.Renewal(context.Background(), r.ID)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || saved.Status != r.Status || r.FinishedAt == nil {
				t.Errorf("told of %s while %+v is saved (%v)", r.Status, saved, err)
			}
			told = append(told, r.Status)
		}}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { b.engine.Run(ctx) })

	failed := b.renew(t, modelswap.TriggerRequest{Overrides: badRounds()})
	if _, err := b.engine.Resume(ctx, failed.ID, modelswap.ResumeRequest{
		Overrides: modelswap.Overrides{Hyperparameters: modelswap.Hyperparameters{"num_round": "5"}}}); err != nil {
		t.Fatal(err)
	}
	b.wait(t)

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
	b.wait(t)

	stop()
	running.Wait()
	want := []modelswap.Status{modelswap.Failed, modelswap.Succeeded, modelswap.Cancelled}
	if !slices.Equal(told, want) {
		t.Errorf("told of %v, want %v", told, want)
	}
}
