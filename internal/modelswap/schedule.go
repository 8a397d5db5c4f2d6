package modelswap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"gateway/internal/failure"
)

// Schedule is what starts renewals without an operator: the clock, and new
// outcomes. It is one row for all replicas. The replica that finds something due
// changes the row and inserts the renewal in one transaction, which succeeds in one
// replica only, so each tick starts one renewal.
type Schedule struct {
	Line     string    `json:"line"`               // cron line, in UTC; empty: the clock starts nothing
	Next     time.Time `json:"next,omitzero"`      // when it is due
	Last     *Tick     `json:"last,omitempty"`     // what was due last
	Outcomes int64     `json:"outcomes,omitempty"` // number of the outcome up to which outcomes have started a renewal
	Revision int64     `json:"-"`                  // counts the saves
}

// Tick is one time at which the schedule was due, and what came of it.
type Tick struct {
	Due     time.Time `json:"due"`
	At      time.Time `json:"at"`                // when a replica handled it; later than Due if all were down
	Missed  int       `json:"missed,omitzero"`   // ticks after Due that had gone by as well
	Renewal string    `json:"renewal,omitempty"` // that it started
	Skipped string    `json:"skipped,omitempty"` // why it started none
}

// keepTime starts what is due until ctx ends, and shows what is in the store.
func (e *Engine) keepTime(ctx context.Context) {
	report := e.reporter("cannot read the retraining schedule; trying again", "the retraining schedule can be read again")
	tick := time.NewTicker(idle)
	defer tick.Stop()
	set := e.opts.ManualOnly
	if !e.opts.ManualOnly {
		e.tidy(ctx) // a process may have died just before it would have
	}
	for looks := 0; ; looks++ {
		var err error
		if !set {
			err = e.setLine(ctx)
			set = err == nil
		}
		if set && !e.opts.ManualOnly {
			err = errors.Join(e.clock(ctx), e.outcomes(ctx))
		}
		if looks%measureEvery == 0 {
			err = errors.Join(err, e.measureState(ctx))
		}
		report(ctx, err)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// setLine makes the row's line that of the settings. Of replicas with
// different settings the one that starts last decides, as it should while a
// new setting is rolled out.
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
		s.Next = times.Next(time.Now().UTC())
	}
	return e.ports.Schedules.SaveSchedule(ctx, s, nil)
}

// clock starts a renewal if the schedule is due. If it was due several times while
// all replicas were down, it starts one.
func (e *Engine) clock(ctx context.Context) error {
	s, err := e.ports.Schedules.Schedule(ctx)
	now := time.Now().UTC()
	if err != nil || s.Line == "" {
		return err
	}
	times, err := ParseSchedule(s.Line)
	if err != nil {
		return err
	}
	if tooFar(times, s.Next, now) {
		e.log.Warn("the schedule's next time was set by a clock that was wrong; it is set anew", "next", s.Next)
		s.Next = times.Next(now)
		return e.started(e.ports.Schedules.SaveSchedule(ctx, s, nil), nil)
	}
	if s.Next.After(now) {
		return nil
	}
	due := Tick{Due: s.Next, At: now.Truncate(time.Millisecond)}
	const most = 10_000 // of the missed ticks that are counted
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
		// The tick is spent all the same: the one that runs does its work.
		due.Renewal, due.Skipped = "", other
		e.log.Warn("the schedule is due, but another renewal is unfinished", "due", due.Due, "reason", other)
		err = e.ports.Schedules.SaveSchedule(ctx, s, nil)
		r = nil
	}
	return e.started(err, r)
}

// tooFar reports whether next cannot have been set by a clock that was right: the
// schedule is due twice before it. Clocks of replicas may differ by maxSkew.
func tooFar(times cron.Schedule, next, now time.Time) bool {
	const maxSkew = 10 * time.Minute
	second := times.Next(times.Next(now.Add(maxSkew)))
	return !second.IsZero() && next.After(second) // zero: not within five years
}

// outcomes starts a renewal where enough outcomes have come in since the last
// model's data and since they last started one.
func (e *Engine) outcomes(ctx context.Context) error {
	if e.opts.Outcomes <= 0 {
		return nil
	}
	w, err := e.waiting(ctx)
	if err != nil {
		return err
	}
	if !e.counted.enough(w.taken, w.number, e.opts.Outcomes) {
		return nil
	}
	waiting, err := e.countOutcomes(ctx, w)
	if err != nil {
		return err
	}
	e.counted = outcomeCount{at: time.Now(), taken: w.taken, newest: w.number, waiting: waiting}
	s := w.schedule
	e.metrics.outcomesWaiting.Set(float64(waiting))
	if waiting < e.opts.Outcomes {
		return nil
	}
	s.Outcomes = w.number
	r := e.newRenewal(TriggerRequest{Trigger: TriggerOutcomes, Reason: fmt.Sprintf("%d new outcomes", waiting)})
	err = e.ports.Schedules.SaveSchedule(ctx, s, r)
	if conflict, _ := isConflict(err); conflict {
		return nil // they go on waiting, for the end of the one that runs
	}
	return e.started(err, r)
}

// waiting is where outcomes stand that no renewal has taken up yet.
type waiting struct {
	schedule      Schedule
	taken, number int64    // numbers of the last outcome that was taken up, and of the newest one
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
	if w.number > w.taken { // else there is no need to look further
		watermark, err := e.servingWatermark(ctx)
		if err != nil {
			return w, err
		}
		w.taken = max(w.taken, watermark)
	}
	return w, nil
}

// started reports what came of a save that was to start r.
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

// ScheduleStatus says what will start renewals by itself.
type ScheduleStatus struct {
	Line     string           `json:"line"`     // empty: none
	Next     *time.Time       `json:"next"`     // when the next renewal is due; null for none
	Last     *Tick            `json:"last"`     // what was due last; null for none
	Outcomes *OutcomesTrigger `json:"outcomes"` // null where outcomes start nothing
}

// OutcomesTrigger is the progress towards a renewal that outcomes start.
type OutcomesTrigger struct {
	Every   int64 `json:"every"`   // number of customers that starts one
	Waiting int64 `json:"waiting"` // customers whose label outcomes have set since, and that may be learned from
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
