package store

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"gateway/internal/predict"
)

func testArtifacts(t *testing.T, open opener) {
	ctx := context.Background()
	t.Run("an artifact is kept to the byte, and replaced by name", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for _, body := range []string{"{\"w\": [0.1, 1e-300],\n \"é\": \"\\u0000\"}\n", `{}`} {
			must(t, s.PutArtifact(ctx, "a", []byte(body)))
			got, err := s.Artifact(ctx, "a")
			must(t, err)
			want(t, "artifact", string(got), body)
		}
	})
	t.Run("an unknown artifact is not found", func(t *testing.T) {
		t.Parallel()
		_, err := open(t).Artifact(ctx, "x")
		wantKind(t, err, predict.NotFound, `there is no artifact "x"`)
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
	t.Run("each endpoint has the model that was set last", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		serving := func(endpoint string) string {
			model, err := s.ServingModel(ctx, endpoint)
			must(t, err)
			return model
		}
		want(t, "at first", serving("e"), "")
		for _, name := range []string{"m1", "m2", "m3"} {
			must(t, s.PutArtifact(ctx, name, []byte(`{}`)))
		}
		must(t, s.SetServing(ctx, "e", "m1"))
		must(t, s.SetServing(ctx, "f", "m2"))
		must(t, s.SetServing(ctx, "e", "m3"))
		want(t, "serving", []string{serving("e"), serving("f")}, []string{"m3", "m2"})
		must(t, s.SetServing(ctx, "e", ""))
		want(t, "after none", serving("e"), "")
	})
	t.Run("what has no artifact cannot serve", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		wantKind(t, s.SetServing(ctx, "e", "x"), predict.NotFound, `there is no artifact "x"`)
		model, err := s.ServingModel(ctx, "e")
		must(t, err)
		want(t, "serving", model, "")
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
			wantKind(t, err, predict.NotFound, `there is no artifact "a"`)
		}
	})
	t.Run("that of a model that serves stays", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		must(t, s.PutArtifact(ctx, "a", []byte(`{}`)))
		must(t, s.SetServing(ctx, "e", "a"))
		wantKind(t, s.RemoveArtifact(ctx, "a"), predict.Conflict, "model a serves")
		must(t, s.SetServing(ctx, "e", ""))
		must(t, s.RemoveArtifact(ctx, "a"))
	})
	t.Run("whoever comes first, what serves has its artifact", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for i := range 20 {
			name := fmt.Sprint(i)
			must(t, s.PutArtifact(ctx, name, []byte(`{}`)))
			var both sync.WaitGroup
			var served, removed error
			both.Go(func() { served = s.SetServing(ctx, "e", name) })
			both.Go(func() { removed = s.RemoveArtifact(ctx, name) })
			both.Wait()
			if (served == nil) == (removed == nil) {
				t.Fatalf("round %d: serving gave %v and removing %v, want one of them to win", i, served, removed)
			}
		}
	})
}
