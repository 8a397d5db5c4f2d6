package api

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// dependency is a dependency whose state the test sets.
type dependency struct {
	calls atomic.Int64
	err   atomic.Pointer[error]
}

func (d *dependency) fail(err error) { d.err.Store(&err) }

func (d *dependency) check(context.Context) error {
	d.calls.Add(1)
	if err := d.err.Load(); err != nil {
		return *err
	}
	return nil
}

func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		model, database := &dependency{}, &dependency{}
		r := newReadiness([]Dependency{{"model", true, model.check}, {"database", false, database.check}},
			slog.New(slog.NewTextHandler(&log, nil)))
		expect := func(status, model, database string) {
			t.Helper()
			time.Sleep(readyCache)
			got, err := r.get(t.Context())
			if err != nil || got.Status != status || got.Dependencies["model"].State != model || got.Dependencies["database"].State != database {
				t.Errorf("got %+v, %v; want %s, %s, %s", got, err, status, model, database)
			}
			for name, c := range got.Dependencies {
				if (c.Since != nil) != (c.State != stateOK) {
					t.Errorf("%s is %s since %v", name, c.State, c.Since)
				}
			}
		}
		expect("ok", "ok", "ok")
		database.fail(errors.New("down"))
		expect("degraded", "ok", "degraded")
		began := r.last.Dependencies["database"].Since
		model.fail(errors.New("gone"))
		expect("unavailable", "unavailable", "degraded")
		if since := r.last.Dependencies["database"].Since; !since.Equal(*began) {
			t.Errorf("a failure that lasts begins anew: %v, then %v", began, since)
		}
		database.fail(nil)
		expect("unavailable", "unavailable", "ok")
		model.fail(nil)
		expect("ok", "ok", "ok")
		if n := strings.Count(log.String(), "\n"); n != 4 {
			t.Errorf("%d lines in the log, want one for each change:\n%s", n, log.String())
		}
	})
}

func TestReadinessLooksOnceASecondForAllWhoAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dependency{}
		r := newReadiness([]Dependency{{"model", true, d.check}}, slog.New(slog.DiscardHandler))
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { _, _ = r.get(t.Context()) })
		}
		all.Wait()
		if n := d.calls.Load(); n != 1 {
			t.Errorf("%d checks", n)
		}
		time.Sleep(readyCache - 1)
		_, _ = r.get(t.Context())
		if n := d.calls.Load(); n != 1 {
			t.Errorf("%d checks within a second", n)
		}
		time.Sleep(time.Nanosecond)
		_, _ = r.get(t.Context())
		if n := d.calls.Load(); n != 2 {
			t.Errorf("%d checks after a second", n)
		}
	})
}

func TestADependencyThatHangsIsNotAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int64
		r := newReadiness([]Dependency{{"database", false, func(context.Context) error {
			calls.Add(1)
			<-release
			return nil
		}}}, slog.New(slog.DiscardHandler))
		for range 3 {
			start := time.Now()
			if got, err := r.get(t.Context()); err != nil || got.Status != stateDegraded {
				t.Errorf("got %+v, %v", got, err)
			}
			if took := time.Since(start); took > checkTimeout {
				t.Errorf("it took %v", took)
			}
			time.Sleep(readyCache)
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d checks at once", n)
		}
		close(release)
		synctest.Wait()
		if got, _ := r.get(t.Context()); got.Status != stateOK {
			t.Errorf("it answers again, but is %s", got.Status)
		}
	})
}

func TestACheckThatPanicsHasFailed(t *testing.T) {
	r := newReadiness([]Dependency{{"model", true, func(context.Context) error { panic("a fault") }}}, slog.New(slog.DiscardHandler))
	if got, err := r.get(t.Context()); err != nil || got.Status != stateUnavailable {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestACallerWhoLeavesDoesNotSpoilTheLookForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReadiness([]Dependency{{"model", true, func(ctx context.Context) error {
			time.Sleep(checkTimeout / 2)
			return ctx.Err()
		}}}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.get(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if got, err := r.get(t.Context()); err != nil || got.Status != stateOK {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}
