package store

import (
	"context"
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
		must(t, s.SetServing(ctx, "e", "m1"))
		must(t, s.SetServing(ctx, "f", "m2"))
		must(t, s.SetServing(ctx, "e", "m3"))
		want(t, "serving", []string{serving("e"), serving("f")}, []string{"m3", "m2"})
		must(t, s.SetServing(ctx, "e", ""))
		want(t, "after none", serving("e"), "")
	})
}
