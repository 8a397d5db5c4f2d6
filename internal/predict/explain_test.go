package predict_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/predict"
	"gateway/internal/schema"
)

// fixedExplainer answers the same for all rows.
type fixedExplainer struct {
	scores predict.Scores
	err    error
}

func (f fixedExplainer) Explain(context.Context, []schema.Vector) (predict.Scores, error) {
	return f.scores, f.err
}

func TestMeanContributions(t *testing.T) {
	s := parse(t, small) // columns: age, job ×3, month, rate
	got, err := predict.MeanContributions(t.Context(), fixedExplainer{scores: predict.Scores{Model: "m1", Unexplained: "a row is odd",
		Contributions: [][]float64{{-4, 1, -1, 0.5, 0, 1}, nil, {2, 3, 0, 0, 0, 1}}}}, s, nil)
	want := predict.Importance{Model: "m1", Rows: 2, Unexplained: "a row is odd", Features: []predict.Reason{
		{Feature: "age", Contribution: 3}, {Feature: "job", Contribution: 1.75}, {Feature: "rate", Contribution: 1}, {Feature: "month", Contribution: 0}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, importance (-want +got):\n%s", err, diff)
	}
	got, err = predict.MeanContributions(t.Context(), fixedExplainer{scores: predict.Scores{Model: "m1", Unexplained: "no artifact"}}, s, nil)
	if want := (predict.Importance{Model: "m1", Unexplained: "no artifact"}); err != nil || !cmp.Equal(want, got) {
		t.Errorf("without contributions: %+v, %v", got, err)
	}
	broken := errors.New("broken")
	if _, err := predict.MeanContributions(t.Context(), fixedExplainer{err: broken}, s, nil); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
