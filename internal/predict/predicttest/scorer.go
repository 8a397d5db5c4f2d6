// Package predicttest holds in-memory stand-ins for what package predict asks
// of the outside: [Scorer] for a model, [Store] for the customer store and the
// ledger; and [TestStore], which any such store must pass.
//
// They keep state and follow the contracts of the ports, so that a test can
// ask what became of a call instead of which calls were made.
//
//	scorer := &predicttest.Scorer{Model: "m1", Schema: schema.Fingerprint()}
//	store := predicttest.NewStore()
//	service := predict.NewService(schema, scorer, store, store, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
package predicttest

import (
	"context"
	"slices"
	"sync"

	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Scorer is a model that a test controls. The zero Scorer gives every row 0.5.
// Fields are set before use; later changes go through Fail.
type Scorer struct {
	Model  string // name in the answers
	Schema string // fingerprint in the answers

	// Func scores one row; nil is a model that always says 0.5. A score of at
	// least 0.5 predicts label 1.
	Func func(row schema.Vector) float64
	// Weights, where set, are the coefficients: an explained row gets
	// weight × column as its contributions.
	Weights []float64
	// Change, where set, may spoil an answer before it is given.
	Change func(*predict.Scores)

	mu   sync.Mutex
	err  error
	rows [][]schema.Vector
}

// Score implements predict.Scorer.
func (s *Scorer) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := make([]schema.Vector, len(rows))
	for i, row := range rows {
		call[i] = slices.Clone(row)
	}
	s.rows = append(s.rows, call)
	if err := ctx.Err(); err != nil {
		return predict.Scores{}, err
	}
	if s.err != nil {
		return predict.Scores{}, s.err
	}
	out := predict.Scores{Model: s.Model, Schema: s.Schema}
	for _, row := range rows {
		score, label := 0.5, 0
		if s.Func != nil {
			score = s.Func(row)
		}
		if score >= 0.5 {
			label = 1
		}
		out.Score = append(out.Score, score)
		out.Label = append(out.Label, label)
		if explain && s.Weights != nil {
			contributions := make([]float64, len(row))
			for c, x := range row {
				contributions[c] = s.Weights[c] * x
			}
			out.Contributions = append(out.Contributions, contributions)
		}
	}
	if s.Change != nil {
		s.Change(&out)
	}
	return out, nil
}

// Fail makes every later call fail with err; nil heals the model.
func (s *Scorer) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Calls returns the rows of each call so far.
func (s *Scorer) Calls() [][]schema.Vector {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows)
}
