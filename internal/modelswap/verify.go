package modelswap

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gateway/internal/schema"
)

// goldenRows is the number of held-out rows that `verify` sends to the live
// model.
const goldenRows = 64

// verify compares the live path with the new model: its name and schema, its
// scores of golden rows, and the champion's scores of recent traffic. If any of
// these fails, it restores the champion. A forced renewal continues if only the
// scores of recent traffic have shifted.
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
	x.log.Warn("the new model failed verification; the champion serves again", "renewal", x.r.ID, "model", x.r.State.Model,
		"champion", champion, "reason", doubt)
	return &Fault{Unfit, fmt.Errorf("%w; went back to %s", doubt, champion)}
}

// golden sends held-out rows through the live path and compares the scores with
// the new model's own. It returns the first difference, or nil.
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
			return fmt.Errorf("golden row %d: the live path scores %g, the model gives %g", i+1, live[i], expected[i])
		}
		worst = max(worst, difference)
	}
	x.note("golden_rows", len(rows))
	x.note("largest_difference", worst)
	return nil
}

// live scores rows on the live path and checks that the new model answered.
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
