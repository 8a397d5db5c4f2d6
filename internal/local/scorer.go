package local

import (
	"context"
	"sync/atomic"
	"time"

	"gateway/internal/failure"
	"gateway/internal/learn"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Scorer implements predict.Scorer with the model that a Deployer has set. A call loads the
// pointer to it once. So one model scores all rows of the call, and its name and schema are
// in the result.
type Scorer struct {
	serving atomic.Pointer[loaded]
	missing atomic.Pointer[string] // why no model serves; nil: unknown
}

// noModel is the error of a prediction while no model serves.
func (s *Scorer) noModel() *failure.Error {
	why := "no model serves yet; gateway retrain makes one"
	if known := s.missing.Load(); known != nil {
		why = *known
	}
	return &failure.Error{Kind: failure.Unavailable, Detail: why, RetryAfter: 5 * time.Second}
}

// loaded is a model with its name and schema. It never changes.
type loaded struct {
	name   string
	schema string
	model  *learn.Model
}

// Score implements predict.Scorer.
func (s *Scorer) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
	l := s.serving.Load()
	if l == nil {
		return predict.Scores{}, s.noModel()
	}
	out := predict.Scores{Model: l.name, Schema: l.schema,
		Score: make([]float64, len(rows)), Label: make([]int, len(rows))}
	if explain {
		out.Contributions, out.Base = make([][]float64, len(rows)), l.model.Base()
		if err := l.model.Explains(); err != nil {
			explain, out.Contributions, out.Unexplained = false, nil, err.Error()
		}
	}
	for i, row := range rows {
		if i%256 == 0 && ctx.Err() != nil {
			return predict.Scores{}, &failure.Error{Kind: failure.Deadline, Detail: "the rows were not scored in time", Err: ctx.Err()}
		}
		out.Score[i] = l.model.Score(row)
		if out.Score[i] >= l.model.Threshold() {
			out.Label[i] = 1
		}
		if explain {
			if out.Contributions[i] = l.model.Contributions(row); out.Contributions[i] == nil {
				out.Unexplained = "the model's log-odds of a row are undefined: a number is missing or too large"
			}
		}
	}
	return out, nil
}

// Ready returns an error until a model serves.
func (s *Scorer) Ready(context.Context) error {
	if s.serving.Load() == nil {
		return s.noModel()
	}
	return nil
}
