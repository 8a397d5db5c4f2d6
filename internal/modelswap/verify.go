package modelswap

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gateway/internal/schema"
)

// goldenRows is how many held-out rows `verify` asks the live model about.
const goldenRows = 64

// verify holds the live path against what was asked for, what the model itself
// says, and what the champion said of recent traffic. In any doubt the champion
// is put back. A renewal that was forced goes on where only the scores of
// traffic have shifted.
func (x *stepRun) verify(ctx context.Context) error {
	doubt := x.golden(ctx)
	if doubt == nil {
		doubt = x.traffic(ctx)
	}
	if x.r.Force && errors.Is(doubt, errShifted) {
		x.note("forced", doubt.Error())
		doubt = nil
	}
	if doubt == nil {
		serving, err := x.ports.Deployer.Serving(ctx)
		if err != nil {
			return err
		}
		if serving.Model != x.r.State.Model {
			return changed(x.r.State.Model, serving.Model)
		}
		err = x.ports.Models.MarkServing(ctx, x.r.State.Model, serving.Since())
		if errors.Is(err, ErrStale) {
			return changed(x.r.State.Model, serving.Model)
		}
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	champion := x.r.State.Champion
	if champion == "" {
		return &Fault{Unfit, fmt.Errorf("%w; there is no earlier model to go back to", doubt)}
	}
	if _, err := x.deployModel(ctx, x.r.change(champion)); err != nil {
		return fmt.Errorf("%w; going back to %s failed: %w", doubt, champion, err)
	}
	x.note("rolled_back_to", champion)
	x.log.Warn("the new model is in doubt: the champion serves again", "renewal", x.r.ID, "model", x.r.State.Model,
		"champion", champion, "reason", doubt)
	return &Fault{Unfit, fmt.Errorf("%w; went back to %s", doubt, champion)}
}

// golden returns why the live path is not the new model, or nil: it is asked
// about held-out rows, and must give what the model gives.
func (x *stepRun) golden(ctx context.Context) error {
	rows, _, err := x.holdout(ctx, goldenRows)
	if err != nil {
		return err
	}
	expected, err := x.ports.Deployer.ScoreWith(ctx, x.r.State.Model, rows)
	if err != nil {
		return fmt.Errorf("the model cannot score golden rows: %w", err)
	}
	live, err := x.live(ctx, rows)
	if err != nil {
		return err
	}
	const tolerance = 1e-6 // remote models answer in float32
	worst := 0.0
	for i := range expected {
		difference := math.Abs(live[i] - expected[i])
		if !(difference <= tolerance) { // also where it is not a number
			return fmt.Errorf("golden row %d scores %g, and the model gives %g", i+1, live[i], expected[i])
		}
		worst = max(worst, difference)
	}
	x.note("golden_rows", len(rows))
	x.note("largest_difference", worst)
	return nil
}

// live asks the live path, which must be the new model.
func (x *stepRun) live(ctx context.Context, rows []schema.Vector) ([]float64, error) {
	live, err := x.ports.Scorer.Score(ctx, rows, false)
	if err == nil {
		err = live.Err()
	}
	switch want := x.r.State.Model; {
	case err != nil:
		return nil, fmt.Errorf("the live path does not score: %w", err)
	case live.Model != want:
		return nil, fmt.Errorf("the live path answers with model %q instead of %q", live.Model, want)
	case live.Schema != x.opts.Schema.Fingerprint():
		return nil, fmt.Errorf("the live model has schema %.12s, the gateway %.12s", live.Schema, x.opts.Schema.Fingerprint())
	case len(live.Score) != len(rows):
		return nil, fmt.Errorf("the live path answered %d rows with %d scores", len(rows), len(live.Score))
	}
	return live.Score, nil
}
