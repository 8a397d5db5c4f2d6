package modelswap_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

func TestAnAlarmStartsARenewalAndSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		var alarm atomic.Pointer[modelswap.Alarm] // the engines read it
		engine, _ := b.run(t, modelswap.Options{AlarmAgain: 20 * time.Minute, Alarm: alarm.Load})
		if _, err := engine.Trigger(t.Context(), modelswap.TriggerRequest{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		serving, err := b.Serving(t.Context())
		if err != nil || serving.Model == "" {
			t.Fatalf("nothing serves: %v", err)
		}
		alarm.Store(&modelswap.Alarm{Trigger: modelswap.TriggerDrift, Model: "an earlier one", Reason: "old news"})
		time.Sleep(time.Minute)
		if _, got := b.all(t); got != "manual succeeded" {
			t.Fatalf("got %q: an alarm about another model started a renewal", got)
		}
		alarm.Store(&modelswap.Alarm{Trigger: modelswap.TriggerDrift, Model: serving.Model, Reason: "age has drifted"})
		time.Sleep(10 * time.Minute) // the alarm stays for a while: it is about the model that was replaced
		if list, got := b.all(t); got != "manual succeeded, drift succeeded" || list[1].Reason != "age has drifted" {
			t.Fatalf("got %q", got)
		}
		serving, err = b.Serving(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		alarm.Store(&modelswap.Alarm{Trigger: modelswap.TriggerQuality, Model: serving.Model, Reason: "auc is 0.8"})
		time.Sleep(time.Minute)
		if _, got := b.all(t); got != "manual succeeded, drift succeeded, quality succeeded" {
			t.Fatalf("got %q: a new model has an alarm of its own", got)
		}
		serving, err = b.Serving(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// Drift that the renewals have not ended does not start one after the other.
		alarm.Store(&modelswap.Alarm{Trigger: modelswap.TriggerDrift, Model: serving.Model, Reason: "age has drifted"})
		time.Sleep(5 * time.Minute)
		if _, got := b.all(t); got != "manual succeeded, drift succeeded, quality succeeded" {
			t.Fatalf("got %q within twenty minutes", got)
		}
		time.Sleep(10 * time.Minute)
		if _, got := b.all(t); got != "manual succeeded, drift succeeded, quality succeeded, drift succeeded" {
			t.Fatalf("got %q after twenty minutes", got)
		}
	})
}

// Two replicas with the same alarm start one renewal, and one that fails is not tried
// again and again.
func TestAnAlarmDoesNotTryAFailingRenewalAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		var alarm atomic.Pointer[modelswap.Alarm] // the engines read it
		options := modelswap.Options{AlarmPause: 10 * time.Minute, AlarmAgain: time.Minute, Alarm: alarm.Load}
		engine, _ := b.run(t, options)
		b.run(t, options)
		if _, err := engine.Trigger(t.Context(), modelswap.TriggerRequest{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		serving, err := b.Serving(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.Before = func(call string) error {
			if call == "StartExport" {
				return &modelswap.Fault{Class: modelswap.Input, Err: failure.Errorf(failure.Invalid, "no")}
			}
			return nil
		}
		alarm.Store(&modelswap.Alarm{Trigger: modelswap.TriggerQuality, Model: serving.Model, Reason: "auc is 0.8"})
		time.Sleep(9 * time.Minute)
		if _, got := b.all(t); got != "manual succeeded, quality failed" {
			t.Fatalf("got %q in nine minutes", got)
		}
		time.Sleep(2 * time.Minute)
		if _, got := b.all(t); got != "manual succeeded, quality failed, quality failed" {
			t.Errorf("got %q in eleven minutes", got)
		}
	})
}
