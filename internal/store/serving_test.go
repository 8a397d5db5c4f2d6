package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

// serve makes a model serve in the place of what serves.
func serve(t testing.TB, s *Line, endpoint, schema, model string) modelswap.Serving {
	t.Helper()
	now, err := s.Serving(context.Background(), endpoint, schema)
	must(t, err)
	version, err := s.SetServing(context.Background(), endpoint, schema, modelswap.Change{Model: model, Over: now})
	must(t, err)
	after, err := s.Serving(context.Background(), endpoint, schema)
	must(t, err)
	want(t, "serving", after, modelswap.Serving{Model: model, Version: version})
	if now.Model != model && version <= now.Version {
		t.Fatalf("version %d follows %d", version, now.Version)
	}
	return after
}

func wantChanged(t *testing.T, err error, detail string) {
	t.Helper()
	wantKind(t, err, failure.Conflict, detail)
	if !errors.Is(err, modelswap.ErrChanged) {
		t.Errorf("got %v, want modelswap.ErrChanged", err)
	}
}

func testServing(t *testing.T, open opener) {
	ctx := context.Background()
	with := func(t *testing.T, models ...string) *Line {
		s := open(t)
		for _, name := range models {
			must(t, s.PutArtifact(ctx, name, []byte(`{}`)))
		}
		return s
	}
	set := func(s *Line, c modelswap.Change) error {
		_, err := s.SetServing(ctx, "e", "s", c)
		return err
	}
	t.Run("each endpoint and schema has the model that was set last", func(t *testing.T) {
		t.Parallel()
		s := with(t, "m1", "m2", "m3", "m4")
		now, err := s.Serving(ctx, "e", "s")
		must(t, err)
		want(t, "at first", now, modelswap.Serving{})
		serve(t, s, "e", "s", "m1")
		serve(t, s, "f", "s", "m2")
		serve(t, s, "e", "s", "m3")
		serve(t, s, "e", "another", "m4")
		for _, of := range [][3]string{{"e", "s", "m3"}, {"f", "s", "m2"}, {"e", "another", "m4"}, {"f", "another", ""}} {
			now, err := s.Serving(ctx, of[0], of[1])
			must(t, err)
			want(t, of[0]+" "+of[1], now.Model, of[2])
		}
	})
	t.Run("setting the model that serves changes no version", func(t *testing.T) {
		t.Parallel()
		s := with(t, "a")
		first := serve(t, s, "e", "s", "a")
		want(t, "again", serve(t, s, "e", "s", "a"), first)
	})
	t.Run("versions rise while the clock goes back", func(t *testing.T) {
		t.Parallel()
		s := with(t, "a", "b")
		serve(t, s, "e", "s", "a")
		s.now = func() time.Time { return time.Now().Add(-time.Hour) }
		serve(t, s, "e", "s", "b")
	})
	t.Run("what has no artifact cannot serve", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		wantKind(t, set(s, modelswap.Change{Model: "x"}), failure.NotFound, `there is no artifact "x"`)
		now, err := s.Serving(ctx, "e", "s")
		must(t, err)
		want(t, "serving", now, modelswap.Serving{})
	})
	t.Run("a change that is based on what served before is refused", func(t *testing.T) {
		t.Parallel()
		s := with(t, "old", "new", "third")
		wantChanged(t, set(s, modelswap.Change{Model: "new", Over: modelswap.Serving{Model: "old"}}),
			"another gateway changed the serving model from old to none meanwhile")
		old := serve(t, s, "e", "s", "old")
		wantChanged(t, set(s, modelswap.Change{Model: "new"}), "another gateway changed the serving model from none to old meanwhile")
		serve(t, s, "e", "s", "third")
		late := modelswap.Change{Model: "new", Over: old, By: modelswap.Fence{Renewal: "r", Revision: 1}}
		wantChanged(t, set(s, late), "another gateway changed the serving model from old to third meanwhile")
		again := serve(t, s, "e", "s", "old") // rolled back: the same model, another version
		for _, refused := range []error{set(s, late), s.HoldServing(ctx, "e", "s", late)} {
			wantChanged(t, refused, "another gateway changed the serving model meanwhile; old serves again")
		}
		after, err := s.Serving(ctx, "e", "s")
		must(t, err)
		want(t, "serving", after, again)
	})
	t.Run("a later claim of a renewal keeps earlier ones from changing what serves", func(t *testing.T) {
		t.Parallel()
		for _, serving := range []string{"", "old"} {
			s := with(t, "old", "new")
			var over modelswap.Serving
			if serving != "" {
				over = serve(t, s, "e", "s", serving)
			}
			change := func(model string, claim int64) modelswap.Change {
				return modelswap.Change{Model: model, Over: over, By: modelswap.Fence{Renewal: "r", Revision: claim}}
			}
			must(t, s.HoldServing(ctx, "e", "s", change("new", 3)))
			must(t, s.HoldServing(ctx, "e", "s", change("new", 7)))
			wantStale(t, "the earlier claim", set(s, change("new", 3)))
			wantStale(t, "its hold", s.HoldServing(ctx, "e", "s", change("new", 3)))
			now, err := s.Serving(ctx, "e", "s")
			must(t, err)
			want(t, "serving after holds", now, over)
			must(t, set(s, change("new", 7)))
			must(t, set(s, change("old", 7))) // put back: it is this renewal's own change
			wantStale(t, "the earlier claim", set(s, change("new", 3)))
			other := modelswap.Change{Model: "new", Over: over, By: modelswap.Fence{Renewal: "another", Revision: 9}}
			if err := set(s, other); !errors.Is(err, modelswap.ErrChanged) {
				t.Errorf("another renewal: got %v, want ErrChanged", err)
			}
		}
	})
	t.Run("a renewal that an older gateway evaluated is held to the model alone", func(t *testing.T) {
		t.Parallel()
		s := with(t, "old", "new", "third")
		serve(t, s, "e", "s", "old")
		of := modelswap.Change{Model: "new", Over: modelswap.Serving{Model: "old"}, By: modelswap.Fence{Renewal: "r", Revision: 1}}
		must(t, set(s, of))
		serve(t, s, "e", "s", "third")
		wantChanged(t, set(s, of), "another gateway changed the serving model from old to third meanwhile")
	})
	t.Run("of many changes that are based on the same one is made", func(t *testing.T) {
		t.Parallel()
		names := []string{"a", "b", "c", "d"}
		s := with(t, append(names, "first")...)
		for round := range 10 {
			over := modelswap.Serving{}
			if round > 0 {
				over = serve(t, s, "e", "s", "first")
			}
			var made atomic.Int32
			var all sync.WaitGroup
			for _, name := range names {
				all.Go(func() {
					switch err := set(s, modelswap.Change{Model: name, Over: over}); {
					case err == nil:
						made.Add(1)
					case !errors.Is(err, modelswap.ErrChanged) && !errors.Is(err, modelswap.ErrStale):
						t.Errorf("got %v", err)
					}
				})
			}
			all.Wait()
			if made.Load() != 1 {
				t.Fatalf("round %d: %d changes were made, want one", round, made.Load())
			}
		}
	})
}
