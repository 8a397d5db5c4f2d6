package predict_test

import (
	"errors"
	"testing"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

func TestARowWithoutAScoreLeavesItsNeighboursTheirs(t *testing.T) {
	b := setup(t, small)
	bad := failure.Errorf(failure.BadModel, "the model refused the row")
	b.scorer.Change = func(s *predict.Scores) {
		if len(s.Score) > 1 {
			s.Errors = make([]error, len(s.Score))
			s.Errors[1] = bad
		}
	}
	reqs := []predict.Request{{CustomerID: "10042"}, {CustomerID: "10042"}, {CustomerID: "10042"}}
	results := b.PredictBatch(t.Context(), reqs)
	for i, r := range results {
		if wantErr := i == 1; wantErr != errors.Is(r.Err, bad) || wantErr == (r.Prediction.Score == 0.5) {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	if n := len(b.store.Predictions()); n != 2 {
		t.Errorf("%d predictions are in the ledger, want 2", n)
	}
	if _, err := b.Service.Score(t.Context(), []schema.Vector{{1}, {2}}, false); !errors.Is(err, bad) {
		t.Errorf("a caller that needs all rows got %v", err)
	}
	b.scorer.Change = func(s *predict.Scores) { s.Errors = make([]error, 7) }
	if _, err := b.Service.Score(t.Context(), []schema.Vector{{1}}, false); err == nil {
		t.Error("seven errors for one row were taken")
	}
}
