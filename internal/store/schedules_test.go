package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"gateway/internal/audit"
	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

func testSchedules(t *testing.T, open opener) {
	ctx := context.Background()
	read := func(t *testing.T, s *Line) modelswap.Schedule {
		t.Helper()
		schedule, err := s.Schedule(ctx)
		must(t, err)
		return schedule
	}
	t.Run("a schedule is kept exactly, and each save has a new revision", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		want(t, "at first", read(t, s), modelswap.Schedule{})
		full := modelswap.Schedule{Line: "0 2 * * *", Next: at(60), Outcomes: 7,
			Last: &modelswap.Tick{Due: at(0), At: at(1), Missed: 2, Renewal: "r", Skipped: "busy"}}
		must(t, s.SaveSchedule(ctx, full, nil))
		full.Revision = 1
		want(t, "schedule", read(t, s), full)
		must(t, s.SaveSchedule(ctx, modelswap.Schedule{Revision: 1}, nil))
		want(t, "schedule", read(t, s), modelswap.Schedule{Revision: 2})
	})
	t.Run("a renewal comes with its tick, or neither does", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		first := newRenewal("first", modelswap.Queued, 0)
		must(t, s.SaveSchedule(ctx, modelswap.Schedule{Line: "a"}, first))
		got, err := s.Renewal(ctx, "first")
		must(t, err)
		want(t, "renewal", got, first)
		err = s.SaveSchedule(ctx, modelswap.Schedule{Line: "b", Revision: 1}, newRenewal("second", modelswap.Queued, 1))
		wantKind(t, err, failure.Conflict, "renewal first is still queued")
		err = s.SaveSchedule(ctx, modelswap.Schedule{Line: "c"}, newRenewal("third", modelswap.Failed, 1))
		if !errors.Is(err, modelswap.ErrStale) {
			t.Errorf("an old revision gave %v, want ErrStale", err)
		}
		want(t, "schedule", read(t, s), modelswap.Schedule{Line: "a", Revision: 1})
		want(t, "renewals", countRows(t, s, "renewals"), 1)
	})
	t.Run("of many that see the same tick one starts a renewal", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for round := range 5 {
			was := read(t, s)
			var started, late int
			var mu sync.Mutex
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					r := newRenewal(fmt.Sprintf("r%d-%d", round, i), modelswap.Failed, round) // an ended one does not keep others out
					next := modelswap.Schedule{Line: fmt.Sprint(i), Revision: was.Revision}
					err := s.SaveSchedule(ctx, next, r)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						started++
					case errors.Is(err, modelswap.ErrStale):
						late++
					default:
						t.Errorf("SaveSchedule: %v", err)
					}
				})
			}
			all.Wait()
			want(t, "started and late", []int{started, late}, []int{1, 7})
			want(t, "renewals", countRows(t, s, "renewals"), round+1)
		}
	})
	t.Run("outcomes are numbered", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		newest := func() int64 {
			n, err := s.NewestOutcome(ctx)
			must(t, err)
			return n
		}
		want(t, "at first", newest(), int64(0))
		_, _, err := s.PutCustomers(ctx, []predict.Customer{{ID: "a", Features: []byte(`{}`)}, {ID: "b", Features: []byte(`{}`)}})
		must(t, err)
		_, err = s.RecordOutcomes(ctx, []predict.Outcome{ofCustomer("a", 1, 0), ofCustomer("b", 0, 0), ofCustomer("b", 0, 0)})
		must(t, err)
		want(t, "after two", newest(), int64(2))
		for _, above := range []int64{40, 7, math.MaxInt64} { // the last is no number of ours
			must(t, s.RaiseOutcomes(ctx, above))
			want(t, fmt.Sprintf("raised above %d", above), newest(), int64(40))
		}
		_, err = s.RecordOutcomes(ctx, []predict.Outcome{ofCustomer("a", 0, 5)})
		must(t, err)
		want(t, "after another", newest(), int64(41))
	})
}

func testActs(t *testing.T, open opener) {
	ctx := context.Background()
	act := func(id string, seconds int) audit.Entry {
		return audit.Entry{ID: id, At: at(seconds), Token: "token-1", Address: "::1", RequestID: "q", Action: "POST /admin/rollback"}
	}
	t.Run("an act is kept exactly, before its end and after it", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		a := audit.Entry{ID: "a", At: at(0), Token: "t", Address: "10.0.0.1", Forwarded: "203.0.113.7", RequestID: "q",
			Action: "POST /admin/renewals/{id}/resume", Target: "r", Detail: `{"from": "é"}`, Count: 1}
		must(t, s.BeginAct(ctx, a))
		look := func() {
			t.Helper()
			acts, err := s.Acts(ctx, 10, "")
			must(t, err)
			want(t, "acts", acts, []audit.Entry{a})
		}
		look()
		must(t, s.EndAct(ctx, "a", 202, ""))
		a.Status = 202
		look()
		must(t, s.EndAct(ctx, "a", 200, "m"))
		a.Status, a.Target = 200, "m"
		look()
	})
	t.Run("failed sign-ins have a count that grows, and are removed by age", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		failed := audit.Entry{ID: "f", At: at(10), Address: "10.0.0.1", RequestID: "q", Action: "GET /admin/status",
			Target: "sign-in", Detail: "first", Status: 403, Count: 1}
		must(t, s.CountAct(ctx, failed))
		failed.Count, failed.Detail = 17, "last"
		must(t, s.CountAct(ctx, failed))
		operator := act("a", 0)
		must(t, s.BeginAct(ctx, operator))
		operator.Count = 1
		list := func() []audit.Entry {
			t.Helper()
			acts, err := s.Acts(ctx, 10, "")
			must(t, err)
			return acts
		}
		want(t, "acts", list(), []audit.Entry{failed, operator})
		must(t, s.RemoveSignIns(ctx, at(10)))
		want(t, "acts after removal of older ones", list(), []audit.Entry{failed, operator})
		must(t, s.RemoveSignIns(ctx, at(11)))
		want(t, "acts after removal of all sign-ins", list(), []audit.Entry{operator})
	})
	t.Run("acts come newest first, page by page", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		none, err := s.Acts(ctx, 10, "")
		must(t, err)
		want(t, "at first", none, []audit.Entry{})
		for i, id := range []string{"b", "a", "d", "c"} {
			must(t, s.BeginAct(ctx, act(id, i/2)))
		}
		page := func(limit int, before string) []string {
			t.Helper()
			acts, err := s.Acts(ctx, limit, before)
			must(t, err)
			ids := []string{}
			for _, a := range acts {
				ids = append(ids, a.ID)
			}
			return ids
		}
		want(t, "first page", page(3, ""), []string{"d", "c", "b"})
		want(t, "second page", page(3, "b"), []string{"a"})
		want(t, "third page", page(3, "a"), []string{})
		_, err = s.Acts(ctx, 3, "x")
		wantKind(t, err, failure.NotFound, `there is no act "x"`)
	})
}
