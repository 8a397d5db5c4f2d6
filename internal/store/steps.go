package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"gateway/internal/modelswap"
)

const (
	// A step that has not begun leaves no history.
	forgetPendingSQL = `DELETE FROM renewal_steps WHERE renewal_id = $1 AND attempt = 0`

	// Which attempt a renewal shows is a mark and not the highest number: a
	// renewal that goes on from an earlier step shows later ones as pending
	// again, whatever attempts they had.
	unmarkStepsSQL = `UPDATE renewal_steps SET latest = 0 WHERE renewal_id = $1 AND latest = 1`

	saveStepSQL = `
INSERT INTO renewal_steps
    (renewal_id, name, attempt, latest, position, status, started_at, finished_at, detail, error)
VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9)
ON CONFLICT (renewal_id, name, attempt) DO UPDATE
SET latest = 1, position = excluded.position, status = excluded.status, started_at = excluded.started_at,
    finished_at = excluded.finished_at, detail = excluded.detail, error = excluded.error`
)

// saveSteps saves what the renewal shows of its steps. Earlier attempts stay as
// history.
func saveSteps(ctx context.Context, tx *sql.Tx, r *modelswap.Renewal) error {
	if _, err := tx.ExecContext(ctx, forgetPendingSQL, r.ID); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, unmarkStepsSQL, r.ID); err != nil {
		return err
	}
	for i := range r.Steps {
		s := &r.Steps[i]
		detail, err := encodeOptional(s.Detail, s.Detail == nil)
		if err != nil {
			return fmt.Errorf("detail of step %s: %w", s.Name, err)
		}
		if _, err := tx.ExecContext(ctx, saveStepSQL, r.ID, string(s.Name), int64(s.Attempt), int64(i), string(s.Status),
			optionalMicros(s.StartedAt), optionalMicros(s.FinishedAt), detail, optional(s.Error)); err != nil {
			return err
		}
	}
	return nil
}

// stepColumns are the columns of a step, all NULL where a renewal has none.
type stepColumns struct {
	name, status, detail, err  sql.Null[string]
	attempt, started, finished sql.Null[int64]
}

// step returns the step or nil. Numbers in its detail are float64, as
// encoding/json reads them.
func (c *stepColumns) step() (*modelswap.Step, error) {
	if !c.name.Valid {
		return nil, nil
	}
	s := &modelswap.Step{
		Name: modelswap.StepName(c.name.V), Status: modelswap.StepStatus(c.status.V), Attempt: int(c.attempt.V),
		StartedAt: optionalTime(c.started), FinishedAt: optionalTime(c.finished), Error: pointer(c.err),
	}
	if err := decodeOptional(c.detail, &s.Detail); err != nil {
		return nil, fmt.Errorf("detail of step %s: %w", s.Name, err)
	}
	return s, nil
}

// withPending puts steps in the order in which they run and adds those that
// were never saved. One whose name is not known any more goes to the end.
func withPending(saved []modelswap.Step) []modelswap.Step {
	order := modelswap.Order()
	steps := make([]modelswap.Step, 0, max(len(order), len(saved)))
	for _, name := range order {
		if i := slices.IndexFunc(saved, func(s modelswap.Step) bool { return s.Name == name }); i >= 0 {
			steps = append(steps, saved[i])
		} else {
			steps = append(steps, modelswap.Step{Name: name, Status: modelswap.StepPending})
		}
	}
	for _, s := range saved {
		if !slices.Contains(order, s.Name) {
			steps = append(steps, s)
		}
	}
	return steps
}
