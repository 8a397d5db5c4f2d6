package modelswap_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

// Inside a bubble of synctest the clock begins at midnight UTC, 2000-01-01, a
// Saturday, and moves only while everything waits.
var begin = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// run runs an engine on the bundle's back end, one of several replicas.
func (b *bundle) run(t *testing.T, options modelswap.Options) (engine *modelswap.Engine, stop func()) {
	t.Helper()
	options.Schema, options.TempDir = b.Schema, t.TempDir()
	engine = modelswap.New(b.Ports(), options, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { engine.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return engine, stop
}

// all returns the renewals, oldest first, as "trigger status".
func (b *bundle) all(t *testing.T) (list []*modelswap.Renewal, text string) {
	t.Helper()
	newest, err := b.Renewals(t.Context(), 1000, "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range newest {
		r := newest[len(newest)-1-i]
		list = append(list, r)
		text += fmt.Sprintf("%s %s, ", r.Trigger, r.Status)
	}
	return list, strings.TrimSuffix(text, ", ")
}

func (b *bundle) schedule(t *testing.T) modelswap.Schedule {
	t.Helper()
	s, err := b.Schedule(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheClockStartsARenewalAtEachTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		engine, _ := b.run(t, modelswap.Options{Schedule: "7-59/10 * * * *"})
		time.Sleep(time.Minute)
		status, err := engine.Schedule(t.Context())
		if want := begin.Add(7 * time.Minute); err != nil || status.Next == nil || !status.Next.Equal(want) || status.Last != nil {
			t.Errorf("got %+v (%v), want %s next", status, err, want)
		}
		if _, got := b.all(t); got != "" {
			t.Errorf("got %q before the first tick", got)
		}
		time.Sleep(29 * time.Minute)
		list, got := b.all(t)
		if want := "schedule succeeded, schedule succeeded, schedule succeeded"; got != want {
			t.Fatalf("after three ticks: got %q, want %q", got, want)
		}
		for i, r := range list {
			due := begin.Add(time.Duration(7+10*i) * time.Minute)
			if late := r.CreatedAt.Sub(due); late < 0 || late > 2*time.Second || r.Reason != "scheduled for "+due.Format(time.RFC3339) {
				t.Errorf("renewal %d came %s after its time, %q", i, late, r.Reason)
			}
		}
		if s := b.schedule(t); s.Last.Renewal != list[2].ID || s.Last.Missed != 0 {
			t.Errorf("the schedule says of its last tick %+v", s.Last)
		}
	})
}

func TestTicksMissedWhileDownAreOneRenewalLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		_, stop := b.run(t, modelswap.Options{Schedule: "0 * * * *"})
		time.Sleep(time.Minute)
		stop()
		time.Sleep(5*time.Hour + 30*time.Minute)
		b.run(t, modelswap.Options{Schedule: "0 * * * *"})
		time.Sleep(time.Minute)
		list, got := b.all(t)
		if got != "schedule succeeded" || !strings.Contains(list[0].Reason, "4h31m0s late; 4 later ticks were missed") {
			t.Fatalf("got %q with %+v, want one renewal that says how late it is", got, list)
		}
		s := b.schedule(t)
		if s.Last.Missed != 4 || !s.Last.Due.Equal(begin.Add(time.Hour)) || !s.Next.Equal(begin.Add(6*time.Hour)) {
			t.Errorf("the schedule is %+v, last %+v", s, s.Last)
		}
		time.Sleep(time.Hour)
		if _, got := b.all(t); got != "schedule succeeded, schedule succeeded" {
			t.Errorf("after the next hour: %q, want the clock to go on", got)
		}
	})
}

// TestADeadReplicasTickIsAnothers lets the first replica that sees the tick hang
// before it has saved anything, as one that dies there does; later it wakes up
// and must be too late.
func TestADeadReplicasTickIsAnothers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		wake := make(chan struct{})
		var hung atomic.Int32
		b.Before = func(call string) error {
			if call == "SaveSchedule" && time.Since(begin) > time.Hour-time.Second && hung.CompareAndSwap(0, 1) {
				<-wake
			}
			return nil
		}
		for range 3 {
			b.run(t, modelswap.Options{Schedule: "0 * * * *"})
		}
		time.Sleep(time.Hour + 10*time.Second)
		if _, got := b.all(t); got != "schedule succeeded" || hung.Load() != 1 {
			t.Errorf("got %q with %d replicas hung, want one renewal by another one", got, hung.Load())
		}
		close(wake)
		time.Sleep(time.Minute)
		if _, got := b.all(t); got != "schedule succeeded" {
			t.Errorf("after the hung one woke up: %q, want no second renewal", got)
		}
	})
}

func TestATickDuringARenewalIsRecordedAndSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		release := make(chan struct{})
		b.Before = func(call string) error {
			if call == "StartTraining" {
				<-release
			}
			return nil
		}
		engine, _ := b.run(t, modelswap.Options{Schedule: "0 * * * *"})
		time.Sleep(30 * time.Minute)
		running, err := engine.Trigger(t.Context(), modelswap.TriggerRequest{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(45 * time.Minute)
		if s := b.schedule(t); s.Last == nil || !strings.Contains(s.Last.Skipped, running.ID) || s.Last.Renewal != "" || !s.Next.Equal(begin.Add(2*time.Hour)) {
			t.Errorf("the schedule is %+v, last %+v; want the tick recorded as skipped for %s", s, s.Last, running.ID)
		}
		close(release)
		time.Sleep(15 * time.Minute)
		if _, got := b.all(t); got != "manual succeeded" {
			t.Errorf("got %q, want no renewal for the spent tick", got)
		}
	})
}

func TestANewLineTakesThePlaceOfTheOldAndNoneStopsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		for _, tc := range []struct {
			line string
			next time.Time
		}{
			{"0 5 * * *", begin.Add(5 * time.Hour)},
			{"0 7 * * *", begin.Add(7 * time.Hour)},
			{"", time.Time{}},
		} {
			engine, stop := b.run(t, modelswap.Options{Schedule: tc.line})
			time.Sleep(2 * time.Second)
			stop()
			if s := b.schedule(t); s.Line != tc.line || !s.Next.Equal(tc.next) {
				t.Errorf("%q: got %+v", tc.line, s)
			}
			if status, err := engine.Schedule(t.Context()); err != nil || (status.Next == nil) != (tc.line == "") {
				t.Errorf("%q: got %+v (%v)", tc.line, status, err)
			}
		}
		_, stop := b.run(t, modelswap.Options{Schedule: "0 7 * * *"})
		time.Sleep(2 * time.Second)
		stop()
		_, stop = b.run(t, modelswap.Options{ManualOnly: true}) // a command's own gateway
		time.Sleep(8 * time.Hour)
		stop()
		if _, got := b.all(t); got != "" || b.schedule(t).Line != "0 7 * * *" {
			t.Errorf("got %q and %+v, want a command to start nothing and to leave the schedule", got, b.schedule(t))
		}
	})
}

func TestOutcomesStartARenewalWhenThereAreEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t) // customers whose outcomes have numbers up to 499
		engine, _ := b.run(t, modelswap.Options{Outcomes: 100})
		b.Outcomes(99)
		time.Sleep(time.Minute)
		status, err := engine.Schedule(t.Context())
		if _, got := b.all(t); got != "" || err != nil || *status.Outcomes != (modelswap.OutcomesTrigger{Every: 100, Waiting: 99}) {
			t.Fatalf("got %q and %+v (%v), want none for 99", got, status.Outcomes, err)
		}
		b.Outcomes(401) // 500 in all: one more than the model will have learned from
		time.Sleep(time.Minute)
		if list, got := b.all(t); got != "outcomes succeeded" || list[0].Reason != "500 new outcomes" {
			t.Fatalf("got %q (%+v), want a renewal for 500", got, list)
		}
		b.Outcomes(99)
		time.Sleep(time.Minute)
		if _, got := b.all(t); got != "outcomes succeeded" {
			t.Fatalf("got %q: those that a renewal took up start another one", got)
		}
		b.Outcomes(1)
		time.Sleep(time.Minute)
		if _, got := b.all(t); got != "outcomes succeeded, outcomes succeeded" {
			t.Fatalf("got %q after 100 more", got)
		}
		time.Sleep(10 * time.Minute)
		if _, got := b.all(t); got != "outcomes succeeded, outcomes succeeded" {
			t.Errorf("got %q after ten quiet minutes", got)
		}
	})
}

// TestOutcomesCountAfterTheirDatabaseWasSetBack lets the customers' data have
// outcomes with higher numbers than the database has given out.
func TestOutcomesCountAfterTheirDatabaseWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t) // customers whose outcomes have numbers up to 499
		engine, _ := b.run(t, modelswap.Options{Outcomes: 100})
		if _, err := engine.Trigger(t.Context(), modelswap.TriggerRequest{Trigger: modelswap.TriggerManual}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		b.Outcomes(100)
		time.Sleep(time.Minute)
		if _, got := b.all(t); got != "manual succeeded, outcomes succeeded" {
			t.Errorf("got %q, want the hundred outcomes to start a renewal", got)
		}
	})
}

// TestAScheduleFromAWrongClockIsSetAnew starts with a next time that was set by a
// clock that was years ahead, and with one that is merely late by skew.
func TestAScheduleFromAWrongClockIsSetAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const line = "0 2 * * *"
		for _, tt := range []struct {
			next time.Time
			anew bool
		}{
			{begin.AddDate(10, 0, 0), true}, {begin.AddDate(0, 0, 3), true},
			{begin.Add(2 * time.Hour), false},
			{begin.Add(26 * time.Hour), false}, // a replica whose clock is ahead has had the first tick
		} {
			b := setup(t)
			if err := b.SaveSchedule(t.Context(), modelswap.Schedule{Line: line, Next: tt.next}, nil); err != nil {
				t.Fatal(err)
			}
			_, stop := b.run(t, modelswap.Options{Schedule: line})
			time.Sleep(3 * time.Second)
			want := tt.next
			if tt.anew {
				want = begin.Add(2 * time.Hour)
			}
			if got := b.schedule(t).Next; !got.Equal(want) {
				t.Errorf("the next time %s became %s, want %s", tt.next, got, want)
			}
			stop()
		}
	})
}

// TestOutcomesDoNotTryAFailingRenewalAgainAndAgain also shows that outcomes that
// come in while a renewal runs are not lost.
func TestOutcomesDoNotTryAFailingRenewalAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		release := make(chan struct{})
		b.Before = func(call string) error {
			if call == "StartExport" {
				<-release
				return &modelswap.Fault{Class: modelswap.Input, Err: failure.Errorf(failure.Invalid, "no")}
			}
			return nil
		}
		b.run(t, modelswap.Options{Outcomes: 100})
		b.Outcomes(100)
		time.Sleep(time.Minute)
		b.Outcomes(100)
		time.Sleep(time.Minute)
		if _, got := b.all(t); got != "outcomes running" {
			t.Fatalf("got %q, want one that runs", got)
		}
		close(release)
		time.Sleep(time.Hour)
		if _, got := b.all(t); got != "outcomes failed, outcomes failed" {
			t.Errorf("got %q, want one for each hundred, and no more", got)
		}
	})
}

// TestLocalTimeDoesNotMatter walks the schedule over both changes of the clock
// in a place that has them.
func TestLocalTimeDoesNotMatter(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	schedule, err := modelswap.ParseSchedule("30 2 * * *")
	if err != nil {
		t.Fatal(err)
	}
	for _, day := range []time.Time{
		time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC),  // 02:30 of the next day does not exist in Berlin
		time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC), // and here it comes twice
	} {
		at := day.In(berlin).UTC()
		for i := range 4 {
			at = schedule.Next(at)
			if want := day.Add(time.Duration(i)*24*time.Hour + 150*time.Minute); !at.Equal(want) {
				t.Errorf("tick %d after %s is %s, want %s", i, day, at, want)
			}
		}
	}
}

func TestSundayIsSevenToo(t *testing.T) {
	for seven, zero := range map[string]string{
		"0 2 * * 7": "0 2 * * 0", "0 2 * * 5-7": "0 2 * * 5,6,0", "0 2 * * 1-7": "0 2 * * *", "0 2 * * 0-7": "0 2 * * *",
		"0 2 * * 1-7/2": "0 2 * * 1,3,5,0", "0 2 * * 3,7": "0 2 * * 0,3", "0 2 * * 7-7": "0 2 * * 0", "0 2 * * 7/2": "0 2 * * 0",
		"0 2 7 7 7": "0 2 7 7 0",
	} {
		a, err := modelswap.ParseSchedule(seven)
		if err != nil {
			t.Errorf("%q: %v", seven, err)
			continue
		}
		b, err := modelswap.ParseSchedule(zero)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for range 30 {
			if x, y := a.Next(at), b.Next(at); !x.Equal(y) {
				t.Errorf("%q comes at %s, %q at %s", seven, x, zero, y)
				break
			}
			at = a.Next(at)
		}
	}
}

func TestAWrongScheduleNamesItsField(t *testing.T) {
	for line, want := range map[string]string{
		"60 2 * * 1": `the minute "60"`, "0 24 * * 1": `the hour "24"`, "0 2 32 * 1": `the day of the month "32"`,
		"0 2 * 13 1": `the month "13"`, "0 2 * * 8": `the day of the week "8"`, "0 2 * * 5-8": `the day of the week "5-8"`,
		"0 2 * * 7-2": `the day of the week "7-2"`, "0 2 * * x": `the day of the week "x"`, "0 2 * * 1-7/0": `the day of the week "1-7/0"`,
		"0 2 * *": "4 fields", "0 0 2 * * 1": "6 fields", "": "0 fields", "@sometimes": "@sometimes",
	} {
		if _, err := modelswap.ParseSchedule(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSchedule(%q) gave %v, want an error with %s", line, err, want)
		}
	}
}

func TestParseScheduleRefuses(t *testing.T) {
	for _, line := range []string{"", "hourly", "* * * *", "60 * * * *", "0 0 31 2 *", "TZ=UTC 0 0 * * *", "CRON_TZ=Europe/Berlin 0 2 * * *", "@every 1h", "0 2 * * * *"} {
		if _, err := modelswap.ParseSchedule(line); err == nil || !strings.Contains(err.Error(), "schedule") {
			t.Errorf("ParseSchedule(%q) gave %v, want an error that names the schedule", line, err)
		}
	}
}
