package predict

import (
	"cmp"
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
