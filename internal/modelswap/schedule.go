package modelswap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"gateway/internal/failure"
	"gateway/internal/outage"
)

// Schedule starts renewals without an operator: by a cron line and by the number
// of new outcomes. It is one row for all replicas. The replica that finds
// something due changes the row and inserts the renewal in one transaction, which
// succeeds in one replica only, so each tick starts one renewal.
type Schedule struct {
	Line     string    `json:"line"`               // cron line, in UTC; empty: none
	Next     time.Time `json:"next,omitzero"`      // when it is due next
	Last     *Tick     `json:"last,omitempty"`     // the latest tick
	Outcomes int64     `json:"outcomes,omitempty"` // outcomes up to this number have started a renewal
	Revision int64     `json:"-"`                  // counts the saves
}

// Tick is one time at which the schedule was due, and its result.
type Tick struct {
	Due     time.Time `json:"due"`
	At      time.Time `json:"at"`                // when a replica handled it; later than Due if all were down
	Missed  int       `json:"missed,omitzero"`   // later ticks that were missed as well
	Renewal string    `json:"renewal,omitempty"` // the renewal that it started
	Skipped string    `json:"skipped,omitempty"` // why it started none
}

// keepTime starts what is due until ctx ends, and keeps the gauges up to date.
func (e *Engine) keepTime(ctx context.Context) {
	var schedule outage.Outage
	tick := time.NewTicker(idle)
	defer tick.Stop()
	set := e.opts.ManualOnly
	if !e.opts.ManualOnly {
		e.tidy(ctx) // A process may have died just before doing so.
	}
	for looks := 0; ; looks++ {
		var err error
		if !set {
			err = e.setLine(ctx)
			set = err == nil
		}
		if set && !e.opts.ManualOnly {
			err = errors.Join(e.clock(ctx), e.outcomes(ctx), e.alarm(ctx))
		}
		if looks%measureEvery == 0 {
			err = errors.Join(err, e.measureState(ctx))
		}
		if ctx.Err() == nil {
			schedule.Record(e.log, err, "cannot read the retraining schedule; trying again", "the retraining schedule can be read again")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// setLine writes the configured cron line into the row. Of replicas with
// different settings the one that started last wins, which is right while a new
// setting is rolled out.
func (e *Engine) setLine(ctx context.Context) error {
	s, err := e.ports.Schedules.Schedule(ctx)
	if err != nil || s.Line == e.opts.Schedule {
		return err
	}
	s.Line, s.Next = e.opts.Schedule, time.Time{}
	if s.Line != "" {
		times, err := ParseSchedule(s.Line)
		if err != nil {
			return err
		}
		s.Next = times.Next(e.opts.Now().UTC())
	}
	return e.ports.Schedules.SaveSchedule(ctx, s, nil)
}

// clock starts a renewal if the schedule is due. If it was due several times
// while all replicas were down, it starts one.
func (e *Engine) clock(ctx context.Context) error {
	s, err := e.ports.Schedules.Schedule(ctx)
	now := e.opts.Now().UTC()
	if err != nil || s.Line == "" {
		return err
	}
	times, err := ParseSchedule(s.Line)
	if err != nil {
		return err
	}
	if tooFar(times, s.Next, now) {
		e.log.Warn("the schedule's next time was set by a wrong clock; computing it again", "next", s.Next)
		s.Next = times.Next(now)
		return e.started(e.ports.Schedules.SaveSchedule(ctx, s, nil), nil)
	}
	if s.Next.After(now) {
		return nil
	}
	due := Tick{Due: s.Next, At: now.Truncate(time.Millisecond)}
	const most = 10_000 // maximum number of missed ticks that are counted
	for s.Next = times.Next(s.Next); !s.Next.After(now) && due.Missed < most; s.Next = times.Next(s.Next) {
		due.Missed++
	}
	if !s.Next.After(now) {
		s.Next = times.Next(now)
	}
	reason := "scheduled for " + due.Due.Format(time.RFC3339)
	if late := now.Sub(due.Due); late > time.Minute {
		reason += fmt.Sprintf(", %s late; %d later ticks were missed as well", late.Round(time.Second), due.Missed)
	}
	r := e.newRenewal(TriggerRequest{Trigger: TriggerSchedule, Reason: reason})
	due.Renewal = r.ID
	s.Last = &due
	err = e.ports.Schedules.SaveSchedule(ctx, s, r)
	if conflict, other := isConflict(err); conflict {
		// The tick counts as handled: the running renewal does its work.
		due.Renewal, due.Skipped = "", other
		e.log.Warn("the schedule is due but another renewal is unfinished; waiting for the next tick", "due", due.Due, "reason", other)
		err = e.ports.Schedules.SaveSchedule(ctx, s, nil)
		r = nil
	}
	return e.started(err, r)
}

// tooFar reports whether next must have been set by a wrong clock: the schedule
// is due twice before it. The clocks of replicas may differ by maxSkew.
func tooFar(times cron.Schedule, next, now time.Time) bool {
	const maxSkew = 10 * time.Minute
	second := times.Next(times.Next(now.Add(maxSkew)))
	return !second.IsZero() && next.After(second) // zero: not within five years
}

// outcomes starts a renewal if enough outcomes have arrived since those in the
// last model's data and since outcomes last started one.
func (e *Engine) outcomes(ctx context.Context) error {
	if e.opts.Outcomes <= 0 {
		return nil
	}
	w, err := e.waiting(ctx)
	if err != nil {
		return err
	}
	if !e.counted.enough(e.opts.Now(), w.taken, w.number, e.opts.Outcomes) {
		return nil
	}
	waiting, err := e.countOutcomes(ctx, w)
	if err != nil {
		return err
	}
	e.counted = outcomeCount{at: e.opts.Now(), taken: w.taken, newest: w.number, waiting: waiting}
	s := w.schedule
	e.metrics.outcomesWaiting.Set(float64(waiting))
	if waiting < e.opts.Outcomes {
		return nil
	}
	s.Outcomes = w.number
	r := e.newRenewal(TriggerRequest{Trigger: TriggerOutcomes, Reason: fmt.Sprintf("%d new outcomes", waiting)})
	err = e.ports.Schedules.SaveSchedule(ctx, s, r)
	if conflict, _ := isConflict(err); conflict {
		return nil // They wait for the end of the running renewal.
	}
	return e.started(err, r)
}

// waiting describes the outcomes that no renewal has used yet.
type waiting struct {
	schedule      Schedule
	taken, number int64    // numbers of the last used outcome and of the newest one
	newest        *Renewal // nil for none
}

func (e *Engine) waiting(ctx context.Context) (w waiting, err error) {
	if w.schedule, err = e.ports.Schedules.Schedule(ctx); err != nil {
		return w, err
	}
	if w.number, err = e.ports.Schedules.NewestOutcome(ctx); err != nil {
		return w, err
	}
	w.taken = w.schedule.Outcomes
	latest, err := e.ports.Renewals.Renewals(ctx, 1, "")
	if err != nil {
		return w, err
	}
	for _, r := range latest {
		w.newest, w.taken = r, max(w.taken, r.State.Watermark)
	}
	if w.number > w.taken { // otherwise the count cannot be high enough
		watermark, err := e.servingWatermark(ctx)
		if err != nil {
			return w, err
		}
		w.taken = max(w.taken, watermark)
	}
	return w, nil
}

// started reports whether the save that was to start r did so.
func (e *Engine) started(err error, r *Renewal) error {
	switch {
	case errors.Is(err, ErrStale):
		return nil // another replica was faster
	case err != nil:
		return err
	case r != nil:
		e.log.Info("renewal queued", "renewal", r.ID, "trigger", r.Trigger, "reason", r.Reason)
		e.wakeUp()
	}
	return nil
}

func isConflict(err error) (is bool, detail string) {
	var known *failure.Error
	if errors.As(err, &known) && known.Kind == failure.Conflict {
		return true, known.Detail
	}
	return false, ""
}

// ScheduleStatus says what will start renewals without an operator.
type ScheduleStatus struct {
	Line     string           `json:"line"`     // empty: none
	Next     *time.Time       `json:"next"`     // when the next renewal is due; null for none
	Last     *Tick            `json:"last"`     // the latest tick; null for none
	Outcomes *OutcomesTrigger `json:"outcomes"` // null where outcomes start nothing
}

// OutcomesTrigger is the progress towards a renewal that outcomes start.
type OutcomesTrigger struct {
	Every   int64 `json:"every"`   // number of customers that starts a renewal
	Waiting int64 `json:"waiting"` // customers whose label outcomes have set since, and that a renewal may learn from
}

// Schedule returns the state of the schedule.
func (e *Engine) Schedule(ctx context.Context) (ScheduleStatus, error) {
	w, err := e.waiting(ctx)
	if err != nil {
		return ScheduleStatus{}, err
	}
	s := w.schedule
	status := ScheduleStatus{Line: s.Line, Last: s.Last}
	if s.Line != "" {
		status.Next = &s.Next
	}
	if e.opts.Outcomes > 0 {
		waiting, err := e.countOutcomes(ctx, w)
		if err != nil {
			return ScheduleStatus{}, err
		}
		status.Outcomes = &OutcomesTrigger{e.opts.Outcomes, waiting}
	}
	return status, nil
}
