package modelswap_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gateway/internal/modelswap"
)

func TestACancelledDeploymentIsWaitedForAndThenUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.Serve(modelswap.Model{Name: "champion", Schema: b.Schema.Fingerprint()})
		var deploying, once atomic.Bool
		b.Before = func(call string) error {
			if call == "DeployModel" && once.CompareAndSwap(false, true) {
				deploying.Store(true)
			}
			return nil
		}
		b.Changing = deploying.Load
		stop := b.start(t)
		defer stop()
		r, err := b.engine.Trigger(t.Context(), modelswap.TriggerRequest{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // of the bubble, a thousand looks: it is deploying, and no end is in sight
		if _, err := b.engine.Cancel(t.Context(), r.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got, err := b.engine.Renewal(t.Context(), r.ID); err != nil || got.Status.Final() {
			t.Fatalf("the renewal is %s (%v) while the deployment goes on", got.Status, err)
		}
		deploying.Store(false)
		if end := b.wait(t); end.Status != modelswap.Cancelled {
			t.Errorf("the renewal is %s: %s", end.Status, end.Error)
		}
		if serving, err := b.engine.Serving(t.Context()); serving != "champion" {
			t.Errorf("%q serves (%v), want the champion", serving, err)
		}
	})
}
