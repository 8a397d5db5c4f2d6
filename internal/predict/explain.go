package predict

import (
	"cmp"
	"context"
	"math"
	"slices"

	"gateway/internal/schema"
)

// topReasons is the number of reasons unless all are asked for.
const topReasons = 5

// notExplained is the reason where a Scorer gives none.
const notExplained = "the model cannot be explained"

// explain adds the reasons that a caller asked for to a prediction, whose scores are
// row k of scores.
func (s *Service) explain(p *Prediction, want schema.Explain, scores Scores, k int) {
	if want == schema.ExplainNone {
		return
	}
	if scores.Contributions == nil || scores.Contributions[k] == nil {
		p.Unexplained = cmp.Or(scores.Unexplained, notExplained)
		return
	}
	p.Reasons = s.reasons(scores.Contributions[k])
	if want == schema.ExplainAll {
		base := scores.Base
		p.Base = &base
		return
	}
	p.Reasons = p.Reasons[:min(topReasons, len(p.Reasons))]
}

// reasons sums contributions by feature and returns those of all features that are
// encoded, the largest first.
func (s *Service) reasons(contributions []float64) []Reason {
	sums := make([]float64, len(s.schema.Features))
	for column, x := range contributions {
		sums[s.feature[column]] += x
	}
	return sortedReasons(s.schema, sums)
}

// sortedReasons returns a sum for each feature that is encoded, the largest first.
func sortedReasons(s *schema.Schema, sums []float64) []Reason {
	out := make([]Reason, 0, len(sums))
	for i, sum := range sums {
		if f := &s.Features[i]; f.Width() > 0 {
			out = append(out, Reason{f.Name, sum})
		}
	}
	slices.SortStableFunc(out, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(math.Abs(b.Contribution), math.Abs(a.Contribution)), cmp.Compare(a.Feature, b.Feature))
	})
	return out
}

// Explainer explains rows by the serving model without asking a remote model for
// their scores.
type Explainer interface {
	// Explain returns Scores without scores: the model and its schema, and
	// Contributions and Base, or Unexplained. It must not keep or change rows. An error
	// is one of Scorer.Score.
	Explain(ctx context.Context, rows []schema.Vector) (Scores, error)
}

// Importance is how far the features move the scores of a model.
type Importance struct {
	Model string
	Rows  int // that were explained
	// Features have, by the mean of the absolute contributions in log-odds, those that
	// the model gets, the largest first.
	Features []Reason
	// Unexplained is why rows could not be explained; empty if all were.
	Unexplained string
}

// MeanContributions returns the mean absolute contribution of each feature over rows, by
// the serving model. The columns of a feature are summed before the absolute value is
// taken, as in reasons.
func MeanContributions(ctx context.Context, e Explainer, s *schema.Schema, rows []schema.Vector) (Importance, error) {
	scores, err := e.Explain(ctx, rows)
	if err != nil {
		return Importance{}, err
	}
	out := Importance{Model: scores.Model, Unexplained: scores.Unexplained}
	of, sums, row := s.ColumnFeatures(), make([]float64, len(s.Features)), make([]float64, len(s.Features))
	for _, contributions := range scores.Contributions {
		if contributions == nil {
			continue
		}
		out.Rows++
		clear(row)
		for column, x := range contributions {
			row[of[column]] += x
		}
		for i, x := range row {
			sums[i] += math.Abs(x)
		}
	}
	if out.Rows == 0 {
		return out, nil
	}
	for i := range sums {
		sums[i] /= float64(out.Rows)
	}
	out.Features = sortedReasons(s, sums)
	return out, nil
}
