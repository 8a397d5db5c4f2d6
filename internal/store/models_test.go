package store

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"

	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/modelswap"
)

func readModel(t testing.TB, s *Line, name string) modelswap.Model {
	t.Helper()
	m, err := s.Model(context.Background(), name)
	must(t, err)
	return *m
}

func testModels(t *testing.T, open opener) {
	ctx := context.Background()
	full := modelswap.Model{
		Name: "full", Renewal: "r", Algorithm: "xgboost", Schema: "s", Data: "00ff", Rows: 17,
		Parameters: map[string]string{"eta": "0.1", "empty": ""},
		Metrics:    &learn.Metrics{Rows: 3, AUC: math.Nextafter(0.5, 0), LogLoss: 1.0 / 3},
		CreatedAt:  at(0), DeployedAt: ptr(at(1)), RetiredAt: ptr(at(2)), RemovedAt: ptr(at(3)), Watermark: math.MaxInt64,
	}
	bare := modelswap.Model{Name: "bare", CreatedAt: at(0)}

	t.Run("a model is kept exactly, with every field and with none", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		noParameters := modelswap.Model{Name: "no parameters", CreatedAt: at(0), Parameters: map[string]string{}}
		for _, m := range []modelswap.Model{full, bare, noParameters} {
			must(t, s.InsertModel(ctx, m, modelswap.Fence{}))
			want(t, m.Name, readModel(t, s, m.Name), m)
		}
	})
	t.Run("recording a name again replaces the model", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		must(t, s.InsertModel(ctx, full, modelswap.Fence{}))
		replaced := modelswap.Model{Name: "full", CreatedAt: at(9), Algorithm: "linear-learner"}
		must(t, s.InsertModel(ctx, replaced, modelswap.Fence{}))
		replaced.DeployedAt, replaced.RetiredAt = full.DeployedAt, full.RetiredAt // it has served, no matter which process records it
		want(t, "model", readModel(t, s, "full"), replaced)
		must(t, s.InsertModel(ctx, full, modelswap.Fence{}))
		want(t, "model", readModel(t, s, "full"), full)
	})
	t.Run("figures are kept exactly, replaced with the model, and not read with it", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := full
		m.Figures = &modelswap.Figures{Rows: 3, Importance: []learn.Importance{{Feature: "a", AUC: 1.0 / 3}}, Alone: []learn.AloneAUC{},
			Search: &learn.Search{Chosen: learn.Blend}, LeftOut: map[string]int{}, Unavailable: map[string]string{"curve": "a reason"}}
		must(t, s.InsertModel(ctx, m, modelswap.Fence{}))
		figures := func(name string) *modelswap.Figures {
			t.Helper()
			f, err := s.Figures(ctx, name)
			must(t, err)
			return f
		}
		want(t, "figures", figures("full"), m.Figures)
		want(t, "the model alone", readModel(t, s, "full"), full)
		must(t, s.InsertModel(ctx, full, modelswap.Fence{}))
		want(t, "figures of a model without any", figures("full"), (*modelswap.Figures)(nil))
		want(t, "figures of no model", figures("x"), (*modelswap.Figures)(nil))
	})
	t.Run("an unknown model is not found", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		_, err := s.Model(ctx, "x")
		wantKind(t, err, failure.NotFound, `there is no model "x"`)
		wantKind(t, s.MarkServing(ctx, "x", at(0)), failure.NotFound, `there is no model "x"`)
		wantKind(t, s.MarkRemoved(ctx, "x", at(0)), failure.NotFound, `there is no model "x"`)
	})
	t.Run("a removed model keeps its record, until the name is recorded again", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		m := bare
		must(t, s.InsertModel(ctx, m, modelswap.Fence{}))
		must(t, s.MarkRemoved(ctx, m.Name, at(5)))
		m.RemovedAt = ptr(at(5))
		want(t, "model", readModel(t, s, m.Name), m)
		must(t, s.InsertModel(ctx, bare, modelswap.Fence{}))
		want(t, "model", readModel(t, s, m.Name), bare)
	})
	t.Run("all come newest first", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		none, err := s.Models(ctx)
		must(t, err)
		want(t, "models at first", len(none), 0)
		for i, name := range []string{"b", "c", "a"} {
			must(t, s.InsertModel(ctx, modelswap.Model{Name: name, CreatedAt: at(min(i, 1))}, modelswap.Fence{}))
		}
		models, err := s.Models(ctx)
		must(t, err)
		want(t, "models", models, []modelswap.Model{
			{Name: "c", CreatedAt: at(1)}, {Name: "a", CreatedAt: at(1)}, {Name: "b", CreatedAt: at(0)},
		})
	})
	t.Run("the model that serves is marked, and the one before retired", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		a, b := modelswap.Model{Name: "a", CreatedAt: at(0)}, modelswap.Model{Name: "b", CreatedAt: at(1)}
		must(t, s.InsertModel(ctx, a, modelswap.Fence{}))
		must(t, s.InsertModel(ctx, b, modelswap.Fence{}))
		c := full // retired long ago
		must(t, s.InsertModel(ctx, c, modelswap.Fence{}))
		check := func(step string) {
			t.Helper()
			want(t, step+": a", readModel(t, s, "a"), a)
			want(t, step+": b", readModel(t, s, "b"), b)
			want(t, step+": c", readModel(t, s, c.Name), c)
		}
		must(t, s.MarkServing(ctx, "a", at(10)))
		a.DeployedAt = ptr(at(10))
		check("a serves")
		must(t, s.MarkServing(ctx, "a", at(11)))
		check("a again")
		must(t, s.MarkServing(ctx, "b", at(20)))
		a.RetiredAt, b.DeployedAt = ptr(at(20)), ptr(at(20))
		check("b serves")
		must(t, s.MarkServing(ctx, "a", at(30))) // rolled back
		a.DeployedAt, a.RetiredAt, b.RetiredAt = ptr(at(30)), nil, ptr(at(30))
		check("a serves again")
		wantKind(t, s.MarkServing(ctx, "x", at(40)), failure.NotFound, `there is no model "x"`)
		check("after a mistake")
		wantStale(t, "late", s.MarkServing(ctx, "b", at(5)))
		check("after a late mark")
	})
	t.Run("a mark that comes late is refused, and models of other schemas stay as they are", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for _, m := range []modelswap.Model{{Name: "a", Schema: "s"}, {Name: "b", Schema: "s"}, {Name: "c", Schema: "another"}} {
			m.CreatedAt = at(0)
			must(t, s.InsertModel(ctx, m, modelswap.Fence{}))
		}
		must(t, s.MarkServing(ctx, "a", at(10)))
		must(t, s.MarkServing(ctx, "c", at(15)))
		must(t, s.MarkServing(ctx, "b", at(20)))
		wantStale(t, "late", s.MarkServing(ctx, "a", at(19)))
		a, b, c := readModel(t, s, "a"), readModel(t, s, "b"), readModel(t, s, "c")
		if a.RetiredAt == nil || b.RetiredAt != nil || c.RetiredAt != nil || !a.DeployedAt.Equal(at(10)) {
			t.Errorf("got %+v, %+v, %+v; want b and c to serve", a, b, c)
		}
	})
	t.Run("a record of an earlier revision of the renewal is refused", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		r := newRenewal("r", modelswap.Queued, 0)
		must(t, s.InsertRenewal(ctx, r))
		m := modelswap.Model{Name: "m", Renewal: "r", CreatedAt: at(0), Algorithm: "mine"}
		mine := modelswap.Fence{Renewal: "r", Revision: r.Revision}
		must(t, s.InsertModel(ctx, m, mine))
		claim(t, s, "another")
		m.Algorithm = "late"
		wantStale(t, "late", s.InsertModel(ctx, m, mine))
		want(t, "model", readModel(t, s, "m").Algorithm, "mine")
	})
	t.Run("of two marks at the same moment, one stays", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		names := []string{"a", "b", "c"}
		for _, name := range names {
			must(t, s.InsertModel(ctx, modelswap.Model{Name: name, CreatedAt: at(0)}, modelswap.Fence{}))
		}
		for range 5 {
			var all sync.WaitGroup
			for i, name := range names {
				all.Go(func() {
					if err := s.MarkServing(ctx, name, at(i)); err != nil && !errors.Is(err, modelswap.ErrStale) {
						t.Errorf("MarkServing: %v", err)
					}
				})
			}
			all.Wait()
			marked := 0
			for _, name := range names {
				if m := readModel(t, s, name); m.DeployedAt != nil && m.RetiredAt == nil {
					marked++
				}
			}
			want(t, "models marked", marked, 1)
		}
	})
}
