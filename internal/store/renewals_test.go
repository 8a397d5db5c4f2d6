package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/modelswap"
)

// pendingSteps are the steps of a renewal that has not begun.
func pendingSteps() []modelswap.Step {
	var steps []modelswap.Step
	for _, name := range modelswap.Order() {
		steps = append(steps, modelswap.Step{Name: name, Status: modelswap.StepPending})
	}
	return steps
}

func newRenewal(id string, status modelswap.Status, seconds int) *modelswap.Renewal {
	return &modelswap.Renewal{
		ID: id, Status: status, Trigger: modelswap.TriggerManual, CreatedAt: at(seconds), Steps: pendingSteps(),
	}
}

// fullRenewal has a value in every field, each hard to keep in its way.
func fullRenewal() *modelswap.Renewal {
	metrics := learn.Metrics{
		Rows: 17, PositiveRate: 1.0 / 3, AUC: math.Nextafter(0.9, 1), LogLoss: math.SmallestNonzeroFloat64,
		Accuracy: 0.1 + 0.2, F1: math.MaxFloat64, Calibration: math.Copysign(0, -1),
	}
	champion := metrics
	champion.AUC = 0.7
	r := &modelswap.Renewal{
		ID: "full", Status: modelswap.Running, Trigger: modelswap.TriggerSchedule, Reason: "a <reason> with \"quotes\" & é 😀",
		Overrides: modelswap.Overrides{
			Hyperparameters: modelswap.Hyperparameters{"l1": "0.1", "eta": "1e-3", "empty": ""},
			Training:        modelswap.Training{Algorithm: "xgboost", InstanceType: "ml.m5.large", InstanceCount: 2, MaxRuntime: "1h"},
			Gate:            "auc:-0.005",
		},
		Force: true, CreatedAt: at(0), FinishedAt: ptr(at(60)), Model: ptr("m"), Error: "why",
		Metrics: modelswap.Metrics{Champion: &champion, Challenger: &metrics, Rows: 17},
		State: modelswap.State{
			Export: "exports/1", Train: "t.csv", Holdout: "h.csv", Data: "00ff", Rows: 5, Watermark: math.MaxInt64,
			Artifact: "a", Model: "m", Champion: "old",
		},
		Cancelling: true, WakeAt: at(99),
		Steps: pendingSteps(),
	}
	r.Steps[0] = modelswap.Step{
		Name: modelswap.Export, Status: modelswap.StepSucceeded, Attempt: 3, StartedAt: ptr(at(1)), FinishedAt: ptr(at(2)),
		Detail: map[string]any{"rows": 12.0, "share": 1.0 / 3, "nothing": nil, "list": []any{"a", true}, "in": map[string]any{}},
	}
	r.Steps[1] = modelswap.Step{
		Name: modelswap.Convert, Status: modelswap.StepFailed, Attempt: 1, StartedAt: ptr(at(2)), FinishedAt: ptr(at(3)),
		Detail: map[string]any{}, Error: ptr(""),
	}
	r.Steps[2] = modelswap.Step{Name: modelswap.Train, Status: modelswap.StepSkipped}
	return r
}

func readRenewal(t testing.TB, s *Line, id string) *modelswap.Renewal {
	t.Helper()
	r, err := s.Renewal(context.Background(), id)
	must(t, err)
	return r
}

func ids(renewals []*modelswap.Renewal) []string {
	list := []string{}
	for _, r := range renewals {
		list = append(list, r.ID)
	}
	return list
}

func testRenewals(t *testing.T, open opener) {
	ctx := context.Background()
	t.Run("a renewal is kept exactly, with every field and with none", func(t *testing.T) {
		t.Parallel()
		for _, r := range []*modelswap.Renewal{fullRenewal(), newRenewal("bare", modelswap.Queued, 0)} {
			s := open(t)
			must(t, s.InsertRenewal(ctx, r))
			want(t, "revision", r.Revision, int64(1))
			want(t, "renewal", readRenewal(t, s, r.ID), r)
			unfinished, err := s.unfinished(ctx)
			must(t, err)
			want(t, "unfinished", unfinished, r)
		}
	})
	t.Run("an update changes everything and increments the revision", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		r := newRenewal("full", modelswap.Queued, 0)
		must(t, s.InsertRenewal(ctx, r))
		update := fullRenewal()
		update.Revision = 1
		must(t, s.UpdateRenewal(ctx, update))
		want(t, "revision", update.Revision, int64(2))
		want(t, "renewal", readRenewal(t, s, "full"), update)
	})
	t.Run("a stale copy changes nothing", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		r := newRenewal("r", modelswap.Queued, 0)
		must(t, s.InsertRenewal(ctx, r))
		stale := *r
		must(t, s.UpdateRenewal(ctx, r))
		stale.Status, stale.Steps = modelswap.Failed, nil
		if err := s.UpdateRenewal(ctx, &stale); !errors.Is(err, modelswap.ErrStale) {
			t.Errorf("got %v, want ErrStale", err)
		}
		want(t, "revision of the stale copy", stale.Revision, int64(1))
		want(t, "renewal", readRenewal(t, s, "r"), r)
		unknown := newRenewal("unknown", modelswap.Failed, 0)
		if err := s.UpdateRenewal(ctx, unknown); !errors.Is(err, modelswap.ErrStale) {
			t.Errorf("unknown renewal: got %v, want ErrStale", err)
		}
	})
	t.Run("one at a time, and the one that runs is named", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		first := newRenewal("first", modelswap.Queued, 0)
		must(t, s.InsertRenewal(ctx, first))
		second := newRenewal("second", modelswap.Queued, 1)
		wantKind(t, s.InsertRenewal(ctx, second), failure.Conflict, "renewal first is still queued")
		want(t, "revision of what was not stored", second.Revision, int64(0))
		first.Status = modelswap.Running
		must(t, s.UpdateRenewal(ctx, first))
		wantKind(t, s.InsertRenewal(ctx, second), failure.Conflict, "renewal first is still running")
		first.Status = modelswap.Failed
		must(t, s.UpdateRenewal(ctx, first))
		must(t, s.InsertRenewal(ctx, second))

		first.Status = modelswap.Running
		wantKind(t, s.UpdateRenewal(ctx, first), failure.Conflict, "renewal second is still queued")
		want(t, "status", readRenewal(t, s, "first").Status, modelswap.Failed)
		want(t, "revision of what was not saved", first.Revision, int64(3))
	})
	t.Run("an id cannot be used twice", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		must(t, s.InsertRenewal(ctx, newRenewal("r", modelswap.Failed, 0)))
		wantKind(t, s.InsertRenewal(ctx, newRenewal("r", modelswap.Failed, 0)), failure.Conflict, "another one exists already")
	})
	t.Run("of a hundred that start together one is stored, and the others are told which", func(t *testing.T) {
		t.Parallel()
		const starts = 100
		s := open(t)
		var stored [starts]bool
		var errs [starts]error
		var all sync.WaitGroup
		for i := range starts {
			all.Go(func() {
				errs[i] = s.InsertRenewal(ctx, newRenewal(fmt.Sprint(i), modelswap.Queued, i))
				stored[i] = errs[i] == nil
			})
		}
		all.Wait()
		want(t, "renewals", countRows(t, s, "renewals"), 1)
		first := slices.Index(stored[:], true)
		for i, err := range errs {
			if i != first {
				wantKind(t, err, failure.Conflict, fmt.Sprintf("renewal %d is still queued", first))
			}
		}
	})
	t.Run("an unknown renewal is not found, and none is unfinished at first", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		_, err := s.Renewal(ctx, "x")
		wantKind(t, err, failure.NotFound, `there is no renewal "x"`)
		_, err = s.Renewals(ctx, 5, "x")
		wantKind(t, err, failure.NotFound, `there is no renewal "x"`)
		r, err := s.unfinished(ctx)
		must(t, err)
		want(t, "unfinished", r, (*modelswap.Renewal)(nil))
	})
	t.Run("a list goes from new to old, page by page", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for i, id := range []string{"d", "a", "e", "b", "c"} { // b and c are of the same moment
			must(t, s.InsertRenewal(ctx, newRenewal(id, modelswap.Failed, min(i, 3))))
		}
		for _, c := range []struct {
			limit  int
			before string
			want   []string
		}{
			{10, "", []string{"c", "b", "e", "a", "d"}},
			{2, "", []string{"c", "b"}},
			{2, "c", []string{"b", "e"}},
			{2, "b", []string{"e", "a"}},
			{2, "a", []string{"d"}},
			{2, "d", []string{}},
			{0, "", []string{}},
			{-1, "", []string{}},
		} {
			got, err := s.Renewals(ctx, c.limit, c.before)
			must(t, err)
			want(t, fmt.Sprintf("limit %d before %q", c.limit, c.before), ids(got), c.want)
		}
		all, err := s.Renewals(ctx, 10, "")
		must(t, err)
		want(t, "first of the list", all[0], readRenewal(t, s, "c"))
	})
	t.Run("what JSON cannot hold is an error, not a loss", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		r := newRenewal("r", modelswap.Failed, 0)
		r.Metrics.Champion = &learn.Metrics{AUC: math.NaN()}
		if err := s.InsertRenewal(ctx, r); err == nil {
			t.Error("metrics that are not a number: got no error")
		}
		r = newRenewal("r", modelswap.Failed, 0)
		r.Steps[6].Detail = map[string]any{"x": math.Inf(1)}
		if err := s.InsertRenewal(ctx, r); err == nil {
			t.Error("detail that is infinite: got no error")
		}
		want(t, "renewals", countRows(t, s, "renewals")+countRows(t, s, "renewal_steps"), 0)
	})
}

func testSteps(t *testing.T, open opener) {
	ctx := context.Background()
	byName := func(r *modelswap.Renewal, name modelswap.StepName) modelswap.Step { return *r.Step(name) }
	t.Run("steps that were never saved are pending", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		r := newRenewal("r", modelswap.Queued, 0)
		r.Steps = []modelswap.Step{{Name: modelswap.Train, Status: modelswap.StepRunning, Attempt: 1}}
		must(t, s.InsertRenewal(ctx, r))
		wanted := pendingSteps()
		wanted[2] = r.Steps[0]
		want(t, "steps", readRenewal(t, s, "r").Steps, wanted)
	})
	t.Run("the latest attempt is shown and earlier ones are history", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		r := newRenewal("r", modelswap.Running, 0)
		must(t, s.InsertRenewal(ctx, r))
		save := func(status modelswap.StepStatus, attempt int, message *string) {
			*r.Step(modelswap.Train) = modelswap.Step{Name: modelswap.Train, Status: status, Attempt: attempt, Error: message}
			must(t, s.UpdateRenewal(ctx, r))
			want(t, "step", byName(readRenewal(t, s, "r"), modelswap.Train), *r.Step(modelswap.Train))
		}
		save(modelswap.StepRunning, 1, nil)
		save(modelswap.StepFailed, 1, ptr("first failure"))
		save(modelswap.StepRunning, 2, nil)
		save(modelswap.StepSucceeded, 2, nil)
		// Going on from an earlier step makes a finished one pending again.
		save(modelswap.StepPending, 0, nil)
		save(modelswap.StepRunning, 3, nil)

		rows, err := s.read.Query(`SELECT attempt, status FROM renewal_steps WHERE name = 'train' ORDER BY attempt`)
		must(t, err)
		defer rows.Close()
		var history []string
		for rows.Next() {
			var attempt int
			var status string
			must(t, rows.Scan(&attempt, &status))
			history = append(history, fmt.Sprint(attempt, " ", status))
		}
		must(t, rows.Err())
		want(t, "history", history, []string{"1 failed", "2 succeeded", "3 running"})
	})
	t.Run("a step whose name is gone stays visible at the end", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		r := newRenewal("r", modelswap.Failed, 0)
		gone := modelswap.Step{Name: "gone", Status: modelswap.StepSucceeded, Attempt: 1}
		r.Steps = append([]modelswap.Step{gone}, r.Steps...)
		must(t, s.InsertRenewal(ctx, r))
		want(t, "steps", readRenewal(t, s, "r").Steps, append(pendingSteps(), gone))
	})
	t.Run("steps belong to their renewal", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		a, b := fullRenewal(), newRenewal("b", modelswap.Failed, 5)
		b.Steps[0].Attempt, b.Steps[0].Status = 9, modelswap.StepFailed
		must(t, s.InsertRenewal(ctx, a))
		must(t, s.InsertRenewal(ctx, b))
		must(t, s.UpdateRenewal(ctx, b))
		list, err := s.Renewals(ctx, 10, "")
		must(t, err)
		want(t, "renewals", list, []*modelswap.Renewal{b, a})
	})
}
