package modelswap

import (
	"context"
)

// Alarm is a reason to renew the model that serves, which its predictions and their
// outcomes give.
type Alarm struct {
	Trigger string // TriggerDrift or TriggerQuality
	Model   string // that it is about
	Reason  string
}

// alarm starts a renewal if there is an alarm about the model that serves. A new model
// has an alarm only once it has predictions of its own, so a renewal that succeeds does
// not start the next one.
func (e *Engine) alarm(ctx context.Context) error {
	if e.opts.Alarm == nil {
		return nil
	}
	a := e.opts.Alarm()
	if a == nil {
		return nil
	}
	s, err := e.ports.Schedules.Schedule(ctx)
	if err != nil {
		return err
	}
	serving, err := e.ports.Deployer.Serving(ctx)
	if err != nil || serving.Model != a.Model {
		return err
	}
	paused, err := e.alarmPaused(ctx, a.Trigger)
	if paused || err != nil {
		return err
	}
	r := e.newRenewal(TriggerRequest{Trigger: a.Trigger, Reason: a.Reason})
	err = e.ports.Schedules.SaveSchedule(ctx, s, r)
	if conflict, _ := isConflict(err); conflict {
		return nil // The running renewal does its work.
	}
	return e.started(err, r)
}

// alarmPaused reports whether a renewal that an alarm has started has ended without a
// new model lately, or one with the same trigger has made a new model that has the alarm
// again: more renewals would not help, as where training data is always unlike live data.
func (e *Engine) alarmPaused(ctx context.Context, trigger string) (bool, error) {
	const look = 100
	renewals, err := e.ports.Renewals.Renewals(ctx, look, "")
	if err != nil {
		return false, err
	}
	for _, r := range renewals {
		byAlarm := r.Trigger == TriggerDrift || r.Trigger == TriggerQuality
		age := e.opts.Now().Sub(r.CreatedAt)
		if byAlarm && r.Status != Succeeded && age < e.opts.AlarmPause || r.Trigger == trigger && age < e.opts.AlarmAgain {
			return true, nil
		}
	}
	return false, nil
}
