package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"gateway/internal/modelswap"
)

const (
	// The row of a step that has not begun is not part of the history.
	forgetPendingSQL = `DELETE FROM renewal_steps WHERE renewal_id = $1 AND attempt = 0`

	// latest marks the attempt that a renewal shows. It is not always the highest one:
	// a renewal that is resumed from an earlier step shows later steps as pending,
	// although they had attempts.
	unmarkStepsSQL = `UPDATE renewal_steps SET latest = 0 WHERE renewal_id = $1 AND latest = 1`

	saveStepSQL = `
INSERT INTO renewal_steps
    (renewal_id, name, attempt, earlier, latest, position, status, started_at, finished_at, detail, error)
VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9, $10)
ON CONFLICT (renewal_id, name, attempt) DO UPDATE
SET latest = 1, earlier = excluded.earlier, position = excluded.position, status = excluded.status,
    started_at = excluded.started_at, finished_at = excluded.finished_at, detail = excluded.detail, error = excluded.error`

	// The engines sort NULL differently; here steps without a start come last.
	attemptsSQL = `
SELECT name, attempt, status, started_at, finished_at, detail, error
FROM renewal_steps WHERE renewal_id = (SELECT id FROM renewals WHERE id = $1 AND line = $2) AND attempt > 0
ORDER BY CASE WHEN started_at IS NULL THEN 1 ELSE 0 END, started_at, position, attempt`
)

// Attempts returns every attempt of every step, in the order of their start;
// kind NotFound if there is no such renewal. A step that has not begun, or was
// skipped, has none.
func (l *Line) Attempts(ctx context.Context, id string) ([]modelswap.Step, error) {
	attempts, err := l.attempts(ctx, id)
	if err == nil && len(attempts) == 0 {
		// None has begun or there is no such renewal.
		_, err = l.Renewal(ctx, id)
	}
	return attempts, failed("attempts", err)
}

func (l *Line) attempts(ctx context.Context, id string) ([]modelswap.Step, error) {
	rows, err := l.read.QueryContext(ctx, attemptsSQL, id, l.id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var attempts []modelswap.Step
	for rows.Next() {
		var c stepColumns
		if err := rows.Scan(&c.name, &c.attempt, &c.status, &c.started, &c.finished, &c.detail, &c.err); err != nil {
			return nil, err
		}
		step, err := c.step()
		if err != nil {
			return nil, err
		}
		attempts = append(attempts, *step)
	}
	return attempts, rows.Err()
}

// saveSteps saves the shown attempts of the steps. Earlier attempts stay as history.
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
		attempt, earlier := s.Attempt, 0
		if !begun(s) {
			attempt, earlier = 0, s.Attempt
		}
		if _, err := tx.ExecContext(ctx, saveStepSQL, r.ID, string(s.Name), int64(attempt), int64(earlier), int64(i),
			string(s.Status), optionalMicros(s.StartedAt), optionalMicros(s.FinishedAt), detail, optional(s.Error)); err != nil {
			return err
		}
	}
	return nil
}

// begun reports whether the shown attempt has begun. If not, Attempt counts the
// attempts before the step was reset, which are part of the history.
func begun(s *modelswap.Step) bool {
	switch s.Status {
	case modelswap.StepPending, modelswap.StepSkipped, modelswap.StepCancelled:
		return s.StartedAt != nil
	}
	return true
}

// stepColumns are the columns of a step; all are NULL if a renewal has no steps.
type stepColumns struct {
	name, status, detail, err  sql.Null[string]
	attempt, started, finished sql.Null[int64]
}

// step returns the step, or nil. Numbers in its detail are float64, as encoding/json
// decodes them.
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

// withPending sorts steps in the order in which they run, and adds those that were
// never saved. Steps with unknown names come last.
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
