package modelswap

import (
	"cmp"
	"context"
	"math"
	"slices"

	"gateway/internal/learn"
	"gateway/internal/schema"
)

// Contribution is how far a feature moves the log-odds of a model's scores.
type Contribution struct {
	Feature      string  `json:"feature"`
	MeanAbsolute float64 `json:"mean_absolute"` // mean of the absolute contribution over some held-out rows
}

// maxExplained is about how many held-out rows are explained, at equal distances. One
// takes up to some hundred microseconds.
const maxExplained = 2000

// explained are the contributions of some held-out rows.
type explained struct {
	rows     []int       // their positions
	features [][]float64 // of each of these rows: by feature of the schema, in log-odds
	why      string      // why there are none
}

// explain explains held-out rows by a model. A row whose log-odds are undefined is left
// out. The only error is that of ctx.
func explain(ctx context.Context, m *learn.Model, s *schema.Schema, rows []schema.Vector) (x explained, err error) {
	if why := m.Explains(); why != nil {
		return explained{why: why.Error()}, nil //nolint:nilerr // the figures say why
	}
	of := s.ColumnFeatures()
	for i := 0; i < len(rows); i += max(1, len(rows)/maxExplained) {
		if ctx.Err() != nil {
			return x, ctx.Err()
		}
		columns := m.Contributions(rows[i])
		if columns == nil {
			continue
		}
		sums := make([]float64, len(s.Features))
		for column, contribution := range columns {
			sums[of[column]] += contribution
		}
		x.rows, x.features = append(x.rows, i), append(x.features, sums)
	}
	if len(x.rows) == 0 {
		x.why = "the model's log-odds of the held-out rows are undefined"
	}
	return x, nil
}

// means returns the mean absolute contribution of each feature that the model gets, the
// largest first; nil if no row was explained.
func (x *explained) means(s *schema.Schema) []Contribution {
	if len(x.rows) == 0 {
		return nil
	}
	var out []Contribution
	for i := range s.Features {
		if s.Features[i].Width() == 0 {
			continue
		}
		one := Contribution{Feature: s.Features[i].Name}
		for _, contributions := range x.features {
			one.MeanAbsolute += math.Abs(contributions[i]) / float64(len(x.rows))
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b Contribution) int { return cmp.Compare(b.MeanAbsolute, a.MeanAbsolute) })
	return out
}
