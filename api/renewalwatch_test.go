package api

import (
	"context"
	"sync/atomic"
	"testing"

	"gateway/internal/modelswap"
)

// TestAWatcherOfAResumedRenewalSeesNoEndOfBefore joins while another watcher, who
// has seen the renewal fail, has not left yet.
func TestAWatcherOfAResumedRenewalSeesNoEndOfBefore(t *testing.T) {
	var resumed atomic.Bool
	s := &watches{look: func(context.Context, string) (*modelswap.Renewal, error) {
		if resumed.Load() {
			return &modelswap.Renewal{ID: "a", Status: modelswap.Running}, nil
		}
		return &modelswap.Renewal{ID: "a", Status: modelswap.Failed}, nil
	}}
	join := func() (*watch, modelswap.Status) {
		t.Helper()
		w, err := s.join("a")
		if err != nil {
			t.Fatal(err)
		}
		seen, err := w.first(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return w, seen.renewal.Status
	}
	before, status := join()
	if status != modelswap.Failed {
		t.Fatalf("the first watcher sees %s", status)
	}
	resumed.Store(true)
	after, status := join()
	if status != modelswap.Running {
		t.Errorf("a watcher that comes after the renewal was resumed sees %s", status)
	}
	s.leave("a", before)
	if third, _ := join(); third != after {
		t.Error("the watch of the resumed renewal ended with that of before")
	}
	s.leave("a", after)
	s.leave("a", after)
	if len(s.byID) != 0 || s.watchers != 0 {
		t.Errorf("%d watches and %d watchers are left", len(s.byID), s.watchers)
	}
}
