package aws

import (
	"context"
	"errors"
	"strings"
	"testing"

	"gateway/internal/learn"
	"gateway/internal/modelswap"
	"gateway/internal/sandbox"
)

// heldOut are rows with labels and the model's scores.
func (s *stand) heldOut(model string, n int) modelswap.HeldOut {
	s.t.Helper()
	h := modelswap.HeldOut{Features: s.schema.Columns()}
	var labels []int
	h.Rows, labels = rows(n)
	for _, y := range labels {
		h.Labels = append(h.Labels, float64(y))
	}
	s.must(s.hurry(func() (err error) { h.Scores, err = s.deployer.ScoreWith(s.t.Context(), model, h.Rows); return err }))
	return h
}

// The importance of features is that of the model in the artifact, on rows at equal
// distances where they are many.
func TestFiguresOfAModelOfSageMaker(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("m1", string(learn.XGBoost), 400)
	h := s.heldOut("m1", 5000)
	learned, err := s.deployer.LearnedFigures(t.Context(), "m1", h)
	s.must(err)
	f := learned.Figures
	if f == nil || f.Rows != 2500 || len(f.Importance) == 0 || !(f.Importance[0].LogLoss > 0) || f.Coefficients != nil {
		t.Fatalf("got %+v (%s)", f, learned.Why)
	}
	again, err := s.deployer.LearnedFigures(t.Context(), "m1", h)
	s.must(err)
	if again.Figures.Importance[0] != f.Importance[0] {
		t.Errorf("again: %+v, at first %+v", again.Figures.Importance, f.Importance)
	}
}

// Where the model cannot be read, the figures say why, and the renewal goes on.
func TestFiguresOfAModelThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.train("m1", string(learn.LinearLearner), 300)
	h := s.heldOut("m1", 100)
	why := func(h modelswap.HeldOut) string {
		t.Helper()
		learned, err := s.deployer.LearnedFigures(t.Context(), "m1", h)
		s.must(err)
		if learned.Figures != nil {
			t.Errorf("got %+v", learned.Figures)
		}
		return learned.Why
	}
	if got := why(modelswap.HeldOut{Rows: h.Rows, Labels: h.Labels}); got != "all held-out rows have the same label" {
		t.Errorf("without scores: %q", got)
	}
	changed := h
	changed.Scores = append([]float64(nil), h.Scores...)
	changed.Scores[40] = 1 - changed.Scores[40]
	if got := why(changed); !strings.Contains(got, "other scores") {
		t.Errorf("with other scores: %q", got)
	}
	order := s.Order("GetObject", sandbox.Fault{Kind: sandbox.Denied, Times: -1})
	if got := why(h); got != "the artifact of the model could not be read from S3 when it was evaluated" {
		t.Errorf("without permission: %q", got)
	}
	order.Cancel()
	s.replaceArtifact("m1", []byte("no model"))
	if got := why(h); got == "" {
		t.Error("there is no reason for an artifact that is no model")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.deployer.LearnedFigures(ctx, "m1", h); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
