package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// surge is an overload: a usual load within the capacity of the endpoint, and for a while a
// much larger one in addition.
type surge struct {
	capacity float64 // of the endpoint, in rows per second
	before   time.Duration
	from, to time.Duration // of the overload, since the load began
	after    time.Duration
	usual    records       // of the usual load
	all      records       // of both
	takes    time.Duration // of a call
	seen     [3]counts     // of the runtime: before, during and after the overload
	memory   history
	shift    time.Duration // from the clock of the load to that of memory
}

// overload sends four times the capacity of the endpoint, and reports its effect on the usual
// load.
//
// Calls of at most 8 rows limit the capacity of the endpoint: with 4 concurrent calls of 40 ms
// to 800 rows per second.
func overload(ctx context.Context, o options, r *report) (err error) {
	const at, rowsEach, takes = 4, 8, 40 * time.Millisecond
	s, err := newStage(ctx, o, r, func(string) ([]string, string, error) {
		return []string{fmt.Sprint("GATEWAY_BATCH_MAX_ROWS=", rowsEach)}, "", nil
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.endpoint.become(ctx, behaviour{Latency: takes, Concurrent: at}); err != nil {
		return err
	}
	before, long, after := 15*time.Second, time.Minute, 10*time.Second
	if o.quick {
		before, long, after = 6*time.Second, 8*time.Second, 4*time.Second
	}
	u := &surge{capacity: at * rowsEach / takes.Seconds(), before: before / 3, after: after, takes: takes}
	if err := u.run(ctx, s, before, long, after); err != nil {
		return err
	}
	r.head("Overload")
	r.note("Endpoint: %v a call of at most %d rows, %d calls at once, so %.0f rows a second at most: its capacity. "+
		"%.0f %% of it in an open loop, and on top of that for %v so much that it is %d times the capacity. "+
		"Answered counts what was answered in the phase, times are those of what was due in it.", takes, rowsEach, at, u.capacity, 100*usualShare, long, overloaded)
	u.tell(r)
	return s.gateway.alive()
}

const (
	usualShare = 0.75 // of the capacity
	overloaded = 4    // times the capacity
)

func (u *surge) run(ctx context.Context, s *stage, before, long, after time.Duration) error {
	memory := watch(ctx, s.gateway.pid)
	defer memory.stop()
	base, err := start(ctx, s.through(ctx), 1024, usualShare*u.capacity)
	if err != nil {
		return err
	}
	defer base.close()
	if err := s.endpoint.over(ctx, before-u.before, u.before, &u.seen[0]); err != nil {
		return err
	}
	flood, err := start(ctx, s.through(ctx), 2048, (overloaded-usualShare)*u.capacity)
	if err != nil {
		return err
	}
	defer flood.close()
	u.from = flood.began.Sub(base.began)
	u.to = u.from + long
	if err := s.endpoint.over(ctx, long, 0, &u.seen[1]); err != nil {
		return err
	}
	flooded := flood.stop()
	if err := s.endpoint.over(ctx, after-time.Second, time.Second, &u.seen[2]); err != nil {
		return err
	}
	u.usual = base.stop()
	s.report.judge(base, u.usual)
	s.report.judge(flood, flooded)
	u.memory, u.shift = memory.stop(), base.began.Sub(memory.began)
	u.all = append(u.all, u.usual...)
	for _, r := range flooded {
		r.due += u.from
		u.all = append(u.all, r)
	}
	return nil
}

// over waits for delay and then for long, and returns the counts of the runtime in the latter.
func (e *endpoint) over(ctx context.Context, long, delay time.Duration, seen *counts) error {
	if err := wait(ctx, delay); err != nil {
		return err
	}
	if _, err := e.counts(ctx); err != nil {
		return err
	}
	if err := wait(ctx, long); err != nil {
		return err
	}
	var err error
	*seen, err = e.counts(ctx)
	return err
}

// perSecond returns the number of predictions per second in an interval.
func (u *surge) perSecond(from, to time.Duration) float64 {
	n := len(u.all.where(func(r *record) bool { return r.status == http.StatusOK && r.end() >= from && r.end() < to }))
	return float64(n) / (to - from).Seconds()
}

func (u *surge) tell(r *report) {
	var rows [][]string
	for i, phase := range []struct {
		name     string
		from, to time.Duration
	}{{"before", u.before, u.from}, {"overload", u.from, u.to}, {"a second after", u.to + time.Second, u.to + u.after}} {
		long := (phase.to - phase.from).Seconds()
		due := u.all.within(phase.from, phase.to)
		good, refused := due.answered(http.StatusOK), due.where(turnedAway)
		done := u.perSecond(phase.from, phase.to)
		rows = append(rows, []string{phase.name, rate(float64(len(due)) / long), rate(done), percent(done, u.capacity),
			ms(good.quantile(.5)), ms(good.quantile(.99)), rate(float64(len(refused)) / long), ms(refused.quantile(.5)), ms(refused.quantile(.99)),
			count(len(due) - len(good) - len(refused)), count(due.wrong()),
			fmt.Sprintf("%.1f", float64(u.seen[i].Rows-u.seen[i].Calls)/float64(max(1, u.seen[i].Calls))),
			fmt.Sprintf("%.1f", float64(u.seen[i].Calls)*u.takes.Seconds()/long)})
	}
	r.table([]string{"phase", "offered/s", "answered/s", "of capacity", "p50 ms", "p99 ms", "refused/s", "p50 ms", "p99 ms", "other", "wrong", "rows a call", "calls at once"}, rows)

	during := u.all.within(u.from, u.to)
	good, refused := during.answered(http.StatusOK), during.where(turnedAway)
	goodput := u.perSecond(u.from, u.to)
	normal := u.usual.within(u.before, u.from).answered(http.StatusOK).quantile(.99)
	again := u.usual.recovered(u.to, normal)
	early, late := u.memory.at(u.from+(u.to-u.from)/4+u.shift), u.memory.at(u.to+u.shift)
	r.bounds([]bound{
		{"goodput, of capacity", percent(goodput, u.capacity), "≥ 95 %", goodput >= .95*u.capacity},
		{"p99 of what is answered, against before", times(float64(good.quantile(.99)), float64(normal)), "≤ 2", good.quantile(.99) <= 2*normal},
		{"p99 of refusals, from when they were due", ms(refused.quantile(.99)) + " ms", "≤ 5 ms", refused.quantile(.99) <= 5*time.Millisecond},
		{"the same from when they were sent", ms(refused.onceSent(.99)) + " ms", "≤ 5 ms", refused.onceSent(.99) <= 5*time.Millisecond},
		{"memory a quarter of the way and at the end, MiB", mib(early.rss) + " to " + mib(late.rss), "≤ 1.2", float64(late.rss) <= 1.2*float64(early.rss)},
		{"all is normal again after", seconds(again), "≤ 1 s", again >= 0 && again <= time.Second},
		{"answers that were neither right nor an honest refusal", count(during.wrong()), "0", during.wrong() == 0},
	})
}

// turnedAway reports whether a request was refused with the advice to try again.
func turnedAway(r *record) bool {
	return r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable
}
