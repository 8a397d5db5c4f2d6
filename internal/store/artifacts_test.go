package store

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

func testArtifacts(t *testing.T, open opener) {
	ctx := context.Background()
	t.Run("an artifact is kept to the byte, and not replaced by another one", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		const body = "{\"w\": [0.1, 1e-300],\n \"é\": \"\\u0000\"}\n"
		for range 2 {
			must(t, s.PutArtifact(ctx, "a", []byte(body)))
		}
		wantKind(t, s.PutArtifact(ctx, "a", []byte(`{}`)), failure.Conflict, "model a has another artifact already")
		got, err := s.Artifact(ctx, "a")
		must(t, err)
		want(t, "artifact", string(got), body)
	})
	t.Run("an unknown artifact is not found", func(t *testing.T) {
		t.Parallel()
		_, err := open(t).Artifact(ctx, "x")
		wantKind(t, err, failure.NotFound, `there is no artifact "x"`)
	})
	t.Run("an artifact that is not text is refused", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for _, body := range []string{"", "\x00", "a\x00b", "\xff"} {
			if err := s.PutArtifact(ctx, "a", []byte(body)); err == nil {
				t.Errorf("artifact %q: got no error", body)
			}
		}
	})
}

func testRemovingArtifacts(t *testing.T, open opener) {
	ctx := context.Background()
	t.Run("a removed artifact is gone, and removing it again is no error", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		must(t, s.PutArtifact(ctx, "a", []byte(`{}`)))
		for range 2 {
			must(t, s.RemoveArtifact(ctx, "a"))
			_, err := s.Artifact(ctx, "a")
			wantKind(t, err, failure.NotFound, `there is no artifact "a"`)
		}
	})
	t.Run("that of a model that serves stays", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		must(t, s.PutArtifact(ctx, "a", []byte(`{}`)))
		must(t, s.PutArtifact(ctx, "b", []byte(`{}`)))
		serve(t, s, "e", "s", "a")
		wantKind(t, s.RemoveArtifact(ctx, "a"), failure.Conflict, "model a serves")
		serve(t, s, "e", "s", "b")
		must(t, s.RemoveArtifact(ctx, "a"))
	})
	t.Run("in either order, what serves has its artifact", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for i := range 20 {
			name := fmt.Sprint(i)
			must(t, s.PutArtifact(ctx, name, []byte(`{}`)))
			var both sync.WaitGroup
			var served, removed error
			now, err := s.Serving(ctx, "e", "s")
			must(t, err)
			both.Go(func() { _, served = s.SetServing(ctx, "e", "s", modelswap.Change{Model: name, Over: now}) })
			both.Go(func() { removed = s.RemoveArtifact(ctx, name) })
			both.Wait()
			if (served == nil) == (removed == nil) {
				t.Fatalf("round %d: serving gave %v and removing %v, want one of them to win", i, served, removed)
			}
		}
	})
}
