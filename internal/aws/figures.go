package aws

import (
	"context"
	"errors"

	"gateway/internal/learn"
	"gateway/internal/modelswap"
	"gateway/internal/schema"
)

const (
	// figureRows bounds the rows that importance is measured on, so that predictions do
	// not wait for it.
	figureRows = 2000
	figureSeed = 1 // of the order in which values are dealt out
)

// LearnedFigures implements modelswap.Deployer. It reads the artifact of the model and
// measures the importance of features on some of the rows. The artifact must give the
// rows the scores of the container. The renewal goes on without it.
func (d *Deployer) LearnedFigures(ctx context.Context, name string, h modelswap.HeldOut) (modelswap.LearnedFigures, error) {
	if h.Scores == nil {
		return modelswap.LearnedFigures{Why: "all held-out rows have the same label"}, nil
	}
	read, why, err := d.readModel(ctx, name)
	if why != "" || err != nil {
		return modelswap.LearnedFigures{Why: why}, err
	}
	rows, labels := someRows(h)
	for i, k := range rows {
		if !sameLogOdds(read.Score(h.Rows[k]), h.Scores[k]) {
			d.log.Warn("the artifact of the model gives held-out rows other scores than the container; its figures have no importance", "model", name, "row", i+1)
			return modelswap.LearnedFigures{Why: "the artifact of the model gives other scores than the container"}, nil
		}
	}
	chosen := make([]schema.Vector, len(rows))
	for i, k := range rows {
		chosen[i] = h.Rows[k]
	}
	table := learn.TableOf(d.schema.Columns(), chosen, labels)
	figures, err := learn.Describe(ctx, read, table, h.Features, d.schema.DecisionThreshold(), figureSeed)
	if errors.Is(err, learn.ErrInput) {
		return modelswap.LearnedFigures{Model: read, Why: "the held-out rows do not show it: " + err.Error()}, nil
	}
	return modelswap.LearnedFigures{Figures: figures, Model: read}, err
}

// readModel reads the artifact of a model, or returns why it cannot be read. The only
// error is that of ctx.
func (d *Deployer) readModel(ctx context.Context, name string) (m *learn.Model, why string, err error) {
	bounded, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	m, err = d.endpoint.readArtifact(bounded, name)
	var unexplained *unexplainedError
	switch {
	case err == nil:
		return m, "", nil
	case ctx.Err() != nil:
		return nil, "", ctx.Err()
	case errors.As(err, &unexplained):
		return nil, unexplained.Error(), nil
	}
	d.log.Warn("cannot read the artifact of the model; its figures have no importance", "model", name, "error", err)
	return nil, "the artifact of the model could not be read from S3 when it was evaluated", nil
}

// someRows returns the positions of at most figureRows rows, or somewhat more, at equal
// distances, and their labels.
func someRows(h modelswap.HeldOut) (rows []int, labels []float64) {
	every := max(1, len(h.Rows)/figureRows)
	for i := 0; i < len(h.Rows); i += every {
		rows, labels = append(rows, i), append(labels, h.Labels[i])
	}
	return rows, labels
}
