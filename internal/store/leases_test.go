package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

// setClock stops the store's clock.
func setClock(s *Line, seconds int) {
	s.now = func() time.Time { return at(seconds) }
}

// claim claims for ten seconds.
func claim(t testing.TB, s *Line, owner string) *modelswap.Renewal {
	t.Helper()
	r, err := s.ClaimRenewal(context.Background(), owner, "", 10*time.Second)
	must(t, err)
	return r
}

// extend extends by ten seconds.
func extend(s *Line, owner string) (cancel bool, err error) {
	return s.ExtendLease(context.Background(), "r", owner, 10*time.Second)
}

func wantStale(t testing.TB, what string, err error) {
	t.Helper()
	if !errors.Is(err, modelswap.ErrStale) {
		t.Errorf("%s: got %v, want ErrStale", what, err)
	}
}

func wantNone(t testing.TB, what string, r *modelswap.Renewal) {
	t.Helper()
	if r != nil {
		t.Errorf("%s: got renewal %s, want none", what, r.ID)
	}
}

func testLeases(t *testing.T, open opener) {
	ctx := context.Background()
	setup := func(t *testing.T) *Line {
		s := open(t)
		setClock(s, 0)
		must(t, s.InsertRenewal(ctx, newRenewal("r", modelswap.Queued, 0)))
		return s
	}
	t.Run("a renewal of another schema is left to gateways of that schema, until there are none", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		setClock(s, 0)
		r := newRenewal("r", modelswap.Queued, 0)
		r.State.Schema = "theirs"
		must(t, s.InsertRenewal(ctx, r))
		of := func(schema string) *modelswap.Renewal {
			r, err := s.ClaimRenewal(ctx, schema, schema, 10*time.Second)
			must(t, err)
			return r
		}
		wantNone(t, "new", of("mine"))
		setClock(s, 59)
		wantNone(t, "59 seconds old", of("mine"))
		r = of("theirs")
		if r == nil || r.State.Schema != "theirs" {
			t.Fatalf("got %+v, want the renewal of the schema", r)
		}
		setClock(s, 69+59)
		wantNone(t, "59 seconds after the lease ended", of("mine"))
		r.Released, r.WakeAt = true, at(300)
		must(t, s.UpdateRenewal(ctx, r)) // it waits for something
		setClock(s, 300+59)
		wantNone(t, "59 seconds after it was due", of("mine"))
		setClock(s, 300+60)
		if of("mine") == nil {
			t.Error("a renewal that no gateway works on was not claimed")
		}
	})
	t.Run("the one unfinished renewal is claimed whole, with a new revision", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		setClock(s, 100)
		wantNone(t, "an empty store", claim(t, s, "a"))
		for i, status := range []modelswap.Status{modelswap.Succeeded, modelswap.Failed, modelswap.Rejected, modelswap.Cancelled} {
			must(t, s.InsertRenewal(ctx, newRenewal(fmt.Sprint(i), status, i)))
		}
		wantNone(t, "only finished ones", claim(t, s, "a"))
		r := fullRenewal()
		must(t, s.InsertRenewal(ctx, r))
		r.Revision = 2
		want(t, "claimed", claim(t, s, "a"), r)
		want(t, "stored", readRenewal(t, s, "full"), r)
	})
	t.Run("a lease and a pause by a clock that was wrong do not last", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		wrong := at(0).AddDate(4, 0, 0)
		s.now = func() time.Time { return wrong }
		r := claim(t, s, "a") // for ten seconds
		r.WakeAt = wrong.Add(time.Minute)
		must(t, s.UpdateRenewal(ctx, r))
		s.now = func() time.Time { return wrong.Add(10*time.Second - farAhead) }
		wantNone(t, "claimed by b while a's clock may be right", claim(t, s, "b"))
		s.now = func() time.Time { return wrong.Add(10*time.Second - farAhead - time.Microsecond) }
		if claim(t, s, "b") == nil {
			t.Error("once the clock is set back, b does not get it")
		}
	})
	t.Run("two owners: who holds it keeps it until the lease ends, to the microsecond", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		a := claim(t, s, "a")
		wantNone(t, "claimed by b while a holds it", claim(t, s, "b"))
		s.now = func() time.Time { return at(10).Add(-time.Microsecond) }
		wantNone(t, "claimed by b a moment too early", claim(t, s, "b"))
		setClock(s, 10)
		b := claim(t, s, "b")
		want(t, "revision of b's", b.Revision, int64(3))

		_, err := extend(s, "a")
		wantStale(t, "extended by a, who lost it", err)
		a.Status = modelswap.Failed
		wantStale(t, "saved by a, who lost it", s.UpdateRenewal(ctx, a))
		want(t, "stored", readRenewal(t, s, "r"), b)
		must(t, s.UpdateRenewal(ctx, b))
		wantNone(t, "claimed by a after b saved", claim(t, s, "a"))
	})
	t.Run("extending moves the end, also of a lease that has expired and was not taken", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		r := claim(t, s, "a")
		setClock(s, 9)
		_, err := extend(s, "a")
		must(t, err)
		setClock(s, 18)
		wantNone(t, "claimed by b within the extension", claim(t, s, "b"))
		setClock(s, 30)
		_, err = extend(s, "a")
		must(t, err)
		wantNone(t, "claimed by b after a late extension", claim(t, s, "b"))
		must(t, s.UpdateRenewal(ctx, r)) // extending does not touch the revision
	})
	t.Run("an expired lease that was not taken does not hinder a save", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		r := claim(t, s, "a")
		setClock(s, 99)
		must(t, s.UpdateRenewal(ctx, r))
	})
	t.Run("an owner may claim its own again, and its older copy is stale", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		older := claim(t, s, "a")
		newer := claim(t, s, "a")
		want(t, "revision", newer.Revision, older.Revision+1)
		wantStale(t, "saved from the older copy", s.UpdateRenewal(ctx, older))
		must(t, s.UpdateRenewal(ctx, newer))
	})
	t.Run("only who holds it extends it", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		_, err := extend(s, "a")
		wantStale(t, "it has no owner", err)
		claim(t, s, "a")
		_, err = extend(s, "b")
		wantStale(t, "another owner holds it", err)
		_, err = s.ExtendLease(ctx, "x", "a", time.Second)
		wantStale(t, "there is no such renewal", err)
	})
	t.Run("a save with Released lets go, and another owner goes on when it is due", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		r := claim(t, s, "a")
		r.Status, r.Released, r.WakeAt = modelswap.Running, true, at(5)
		must(t, s.UpdateRenewal(ctx, r))
		_, err := extend(s, "a")
		wantStale(t, "extended after it was let go", err)
		wantNone(t, "claimed by b before it is due", claim(t, s, "b"))
		wantNone(t, "claimed by a before it is due", claim(t, s, "a"))
		s.now = func() time.Time { return at(5).Add(-time.Microsecond) }
		wantNone(t, "claimed by b a moment too early", claim(t, s, "b"))
		setClock(s, 5)
		b := claim(t, s, "b")
		want(t, "due at", b.WakeAt, at(5))
		b.WakeAt = time.Time{}
		must(t, s.UpdateRenewal(ctx, b))
		want(t, "due at once", readRenewal(t, s, "r").WakeAt, time.Time{})
	})
	t.Run("a save without Released keeps the lease", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		r := claim(t, s, "a")
		must(t, s.UpdateRenewal(ctx, r))
		wantNone(t, "claimed by b", claim(t, s, "b"))
		_, err := extend(s, "a")
		must(t, err)
	})
	t.Run("the end of a renewal ends the lease, and one that is resumed is free", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		r := claim(t, s, "a")
		r.Status, r.FinishedAt, r.WakeAt = modelswap.Failed, ptr(at(1)), at(1000)
		must(t, s.UpdateRenewal(ctx, r))
		_, err := extend(s, "a")
		wantStale(t, "extended after the end", err)
		wantNone(t, "claimed after the end", claim(t, s, "b"))

		r.Status, r.FinishedAt, r.WakeAt = modelswap.Queued, nil, time.Time{}
		must(t, s.UpdateRenewal(ctx, r))
		want(t, "resumed", readRenewal(t, s, "r"), r)
		r.Revision++
		want(t, "claimed", claim(t, s, "b"), r)
	})
	t.Run("of a hundred claims at the same moment one succeeds", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		for round := range 3 {
			setClock(s, 100*round)
			claimed := make(chan string, 100)
			var all sync.WaitGroup
			for i := range 100 {
				all.Go(func() {
					owner := fmt.Sprint(round, "-", i)
					r, err := s.ClaimRenewal(ctx, owner, "", 10*time.Second)
					if err != nil {
						t.Errorf("ClaimRenewal: %v", err)
					}
					if r != nil {
						claimed <- owner
					}
				})
			}
			all.Wait()
			close(claimed)
			want(t, "claims that succeeded", len(claimed), 1)
			_, err := extend(s, <-claimed)
			must(t, err)
			want(t, "revision", readRenewal(t, s, "r").Revision, int64(2+round))
		}
	})
}

func testCancelling(t *testing.T, open opener) {
	ctx := context.Background()
	setup := func(t *testing.T) (*Line, *modelswap.Renewal) {
		s := open(t)
		setClock(s, 0)
		must(t, s.InsertRenewal(ctx, newRenewal("r", modelswap.Queued, 0)))
		return s, claim(t, s, "a")
	}
	t.Run("the owner sees it when it extends its lease, and can still save", func(t *testing.T) {
		t.Parallel()
		s, r := setup(t)
		cancel, err := extend(s, "a")
		must(t, err)
		want(t, "before", cancel, false)
		must(t, s.RequestCancel(ctx, "r"))
		must(t, s.RequestCancel(ctx, "r")) // asking twice is no fault
		cancel, err = extend(s, "a")
		must(t, err)
		want(t, "after", cancel, true)
		stored := readRenewal(t, s, "r")
		want(t, "stored", []any{stored.Cancelling, stored.Revision}, []any{true, r.Revision})
		r.Status, r.Cancelling = modelswap.Cancelled, true
		must(t, s.UpdateRenewal(ctx, r))
		want(t, "stored", readRenewal(t, s, "r"), r)
	})
	t.Run("a save that does not know of it leaves it in force, and due at once", func(t *testing.T) {
		t.Parallel()
		s, r := setup(t)
		must(t, s.RequestCancel(ctx, "r"))
		r.Status, r.Released, r.WakeAt = modelswap.Running, true, at(1000)
		must(t, s.UpdateRenewal(ctx, r))
		b := claim(t, s, "b")
		if b == nil || !b.Cancelling {
			t.Fatalf("claimed: got %+v, want a renewal that is to be cancelled", b)
		}
		// Who knows of it may wait, for what it stopped to end.
		b.Released, b.WakeAt = true, at(20)
		must(t, s.UpdateRenewal(ctx, b))
		wantNone(t, "claimed while it waits", claim(t, s, "c"))
		setClock(s, 20)
		want(t, "claimed later", claim(t, s, "c").Cancelling, true)
	})
	t.Run("one that waits becomes due", func(t *testing.T) {
		t.Parallel()
		s, r := setup(t)
		r.Released, r.WakeAt = true, at(1000)
		must(t, s.UpdateRenewal(ctx, r))
		wantNone(t, "claimed before", claim(t, s, "b"))
		must(t, s.RequestCancel(ctx, "r"))
		b := claim(t, s, "b")
		want(t, "claimed after", []any{b.Cancelling, b.WakeAt}, []any{true, time.Time{}})
	})
	t.Run("one that is unknown is not found, and one that has ended is a conflict", func(t *testing.T) {
		t.Parallel()
		s, r := setup(t)
		wantKind(t, s.RequestCancel(ctx, "x"), failure.NotFound, `there is no renewal "x"`)
		r.Status = modelswap.Rejected
		must(t, s.UpdateRenewal(ctx, r))
		wantKind(t, s.RequestCancel(ctx, "r"), failure.Conflict, "renewal r is rejected")
		want(t, "stored", readRenewal(t, s, "r"), r)
	})
	t.Run("one that is resumed is not cancelled again", func(t *testing.T) {
		t.Parallel()
		s, r := setup(t)
		must(t, s.RequestCancel(ctx, "r"))
		r.Status, r.Cancelling, r.FinishedAt = modelswap.Cancelled, true, ptr(at(1))
		must(t, s.UpdateRenewal(ctx, r))
		r.Status, r.Cancelling, r.FinishedAt, r.WakeAt = modelswap.Queued, false, nil, at(7)
		must(t, s.UpdateRenewal(ctx, r))
		want(t, "stored", readRenewal(t, s, "r"), r)
	})
	t.Run("nor one that ended before its owner knew", func(t *testing.T) {
		t.Parallel()
		s, r := setup(t)
		must(t, s.RequestCancel(ctx, "r"))
		r.Status, r.FinishedAt = modelswap.Failed, ptr(at(1))
		must(t, s.UpdateRenewal(ctx, r))
		want(t, "the request is still seen", readRenewal(t, s, "r").Cancelling, true)
		r.Status, r.FinishedAt = modelswap.Queued, nil
		must(t, s.UpdateRenewal(ctx, r))
		want(t, "stored", readRenewal(t, s, "r"), r)
	})
}

func testAttempts(t *testing.T, open opener) {
	ctx := context.Background()
	attempts := func(t *testing.T, s *Line) []modelswap.Step {
		t.Helper()
		steps, err := s.Attempts(ctx, "r")
		must(t, err)
		return steps
	}
	step := func(name modelswap.StepName, status modelswap.StepStatus, attempt, started int) modelswap.Step {
		s := modelswap.Step{Name: name, Status: status, Attempt: attempt, StartedAt: ptr(at(started)),
			Detail: map[string]any{"of": fmt.Sprint(name, attempt)}}
		if status != modelswap.StepRunning {
			s.FinishedAt = ptr(at(started + 1))
		}
		return s
	}
	t.Run("all are kept as they ended, in the order of their start", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		r := newRenewal("r", modelswap.Running, 0)
		must(t, s.InsertRenewal(ctx, r))
		want(t, "at first", len(attempts(t, s)), 0)
		save := func(steps ...modelswap.Step) {
			t.Helper()
			for _, step := range steps {
				*r.Step(step.Name) = step
			}
			must(t, s.UpdateRenewal(ctx, r))
			want(t, "renewal", readRenewal(t, s, "r"), r)
		}
		export1 := step(modelswap.Export, modelswap.StepSucceeded, 1, 1)
		convert1 := step(modelswap.Convert, modelswap.StepFailed, 1, 3)
		convert1.Error = ptr("why")
		save(step(modelswap.Export, modelswap.StepRunning, 1, 1))
		save(export1, step(modelswap.Convert, modelswap.StepRunning, 1, 3))
		save(convert1)

		// Resumed from the beginning: both are pending, and still count.
		again := func(name modelswap.StepName) modelswap.Step {
			return modelswap.Step{Name: name, Status: modelswap.StepPending, Attempt: 1, Detail: map[string]any{}}
		}
		save(again(modelswap.Export), again(modelswap.Convert))
		want(t, "history", attempts(t, s), []modelswap.Step{export1, convert1})
		export2 := step(modelswap.Export, modelswap.StepSucceeded, 2, 10)
		save(step(modelswap.Export, modelswap.StepRunning, 2, 10))
		save(export2)
		// What never began again was cancelled or skipped, not its first attempt.
		for _, status := range []modelswap.StepStatus{modelswap.StepCancelled, modelswap.StepSkipped} {
			convert2 := again(modelswap.Convert)
			convert2.Status = status
			save(convert2)
			want(t, "history", attempts(t, s), []modelswap.Step{export1, convert1, export2})
		}
		convert2 := step(modelswap.Convert, modelswap.StepCancelled, 2, 12)
		save(convert2)
		want(t, "history", attempts(t, s), []modelswap.Step{export1, convert1, export2, convert2})
	})
	t.Run("of two that started together the earlier step comes first, and what has no start comes last", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		r := newRenewal("r", modelswap.Failed, 0)
		unknown := modelswap.Step{Name: modelswap.Export, Status: modelswap.StepFailed, Attempt: 1}
		convert, train := step(modelswap.Convert, modelswap.StepFailed, 1, 5), step(modelswap.Train, modelswap.StepFailed, 1, 5)
		r.Steps[0], r.Steps[1], r.Steps[2] = unknown, convert, train
		must(t, s.InsertRenewal(ctx, r))
		want(t, "history", attempts(t, s), []modelswap.Step{convert, train, unknown})
	})
	t.Run("an unknown renewal is not found", func(t *testing.T) {
		t.Parallel()
		_, err := open(t).Attempts(ctx, "x")
		wantKind(t, err, failure.NotFound, `there is no renewal "x"`)
	})
}
