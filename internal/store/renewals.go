package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

const (
	insertRenewalSQL = `
INSERT INTO renewals
    (id, revision, status, cause, reason, overrides, force, created_at, finished_at, model, metrics, state, error,
     cancel, wake_at, schema, line)
VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`

	// Names to the right of "=" are stored values. The process that saves an unfinished
	// renewal may not have read a request to cancel it: the request is kept, with the
	// wake_at that it set. A finished renewal that is resumed ignores earlier requests.
	updateRenewalSQL = `
UPDATE renewals
SET revision = revision + 1, status = $1, cause = $2, reason = $3, overrides = $4, force = $5,
    created_at = $6, finished_at = $7, model = $8, metrics = $9, state = $10, error = $11,
    cancel = CASE WHEN cancel > $12 AND status IN ('queued', 'running') THEN cancel ELSE $12 END,
    wake_at = CASE WHEN cancel > $12 AND status IN ('queued', 'running') THEN 0 ELSE CAST($13 AS BIGINT) END,
    lease_owner = CASE WHEN $14 = 1 THEN NULL ELSE lease_owner END,
    lease_until = CASE WHEN $14 = 1 THEN CAST($15 AS BIGINT) ELSE lease_until END
WHERE id = $16 AND revision = $17 AND line = $18`

	// A renewal and its steps are read by one statement, so from one snapshot: a row
	// for each step, with the renewal repeated. A step that was never saved has no row;
	// a renewal without steps has one row, with NULL in the columns of the step.
	selectRenewalsSQL = `
SELECT r.id, r.revision, r.status, r.cause, r.reason, r.overrides, r.force, r.created_at,
    r.finished_at, r.model, r.metrics, r.state, r.error, r.wake_at, r.cancel,
    s.name, s.attempt + s.earlier, s.status, s.started_at, s.finished_at, s.detail, s.error
FROM renewals r LEFT JOIN renewal_steps s ON s.renewal_id = r.id AND s.latest = 1 `

	renewalSQL    = selectRenewalsSQL + `WHERE r.id = $1 AND r.line = $2 ORDER BY s.position`
	unfinishedSQL = selectRenewalsSQL + `WHERE r.status IN ('queued', 'running') AND r.line = $1 ORDER BY s.position`

	newestRenewalsSQL = selectRenewalsSQL + `
WHERE r.id IN (SELECT id FROM renewals WHERE line = $1 ORDER BY created_at DESC, id DESC LIMIT $2)
ORDER BY r.created_at DESC, r.id DESC, s.position`

	olderRenewalsSQL = selectRenewalsSQL + `
WHERE r.id IN (
    SELECT id FROM renewals
    WHERE line = $1 AND (created_at, id) < (SELECT created_at, id FROM renewals WHERE id = $2 AND line = $1)
    ORDER BY created_at DESC, id DESC LIMIT $3)
ORDER BY r.created_at DESC, r.id DESC, s.position`
)

// InsertRenewal stores a new renewal and sets its Revision to 1. If another one of
// the line is unfinished, it returns a conflict that names that one.
func (l *Line) InsertRenewal(ctx context.Context, r *modelswap.Renewal) error {
	err := l.inWrite(ctx, "insert renewal", func(tx *sql.Tx) error { return l.insertRenewal(ctx, tx, r) })
	if err != nil {
		return l.renewalConflict(ctx, r.ID, err)
	}
	r.Revision = 1
	return nil
}

func (l *Line) insertRenewal(ctx context.Context, tx *sql.Tx, r *modelswap.Renewal) error {
	values, err := renewalValues(r)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, insertRenewalSQL, append(append([]any{r.ID}, values...), r.State.Schema, l.id)...); err != nil {
		return err
	}
	return saveSteps(ctx, tx, r)
}

// UpdateRenewal saves the renewal and its steps in one transaction, if the stored
// revision is still r.Revision, and increments both; else it returns
// modelswap.ErrStale. It ends the lease if the renewal is final or Released. If it
// would make a finished renewal run while another one is unfinished, it returns a
// conflict that names that one.
func (l *Line) UpdateRenewal(ctx context.Context, r *modelswap.Renewal) error {
	values, err := renewalValues(r)
	if err != nil {
		return failed("update renewal", err)
	}
	values = append(values, flag(r.Released || r.Status.Final()), micros(l.now()), r.ID, r.Revision, l.id)
	err = l.inWrite(ctx, "update renewal", func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, updateRenewalSQL, values...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return modelswap.ErrStale
		}
		return saveSteps(ctx, tx, r)
	})
	if err != nil {
		return l.renewalConflict(ctx, r.ID, err)
	}
	r.Revision++
	return nil
}

// renewalValues returns the values of the columns that both statements write, in
// their order.
func renewalValues(r *modelswap.Renewal) ([]any, error) {
	overrides, err1 := encode(r.Overrides)
	metrics, err2 := encode(r.Metrics)
	state, err3 := encode(r.State)
	values := []any{string(r.Status), r.Trigger, r.Reason, overrides, flag(r.Force), micros(r.CreatedAt),
		optionalMicros(r.FinishedAt), optional(r.Model), metrics, state, r.Error, flag(r.Cancelling), wakeMicros(r.WakeAt)}
	return values, errors.Join(err1, err2, err3)
}

// renewalConflict adds to a conflict the name of the unfinished renewal. If that has
// ended meanwhile, the conflict stays as it is.
func (l *Line) renewalConflict(ctx context.Context, id string, err error) error {
	var conflict *failure.Error
	if !errors.As(err, &conflict) || conflict.Kind != failure.Conflict {
		return err
	}
	other, err2 := l.unfinished(ctx)
	if err2 != nil || other == nil || other.ID == id {
		return err
	}
	return &failure.Error{
		Kind:   failure.Conflict,
		Detail: fmt.Sprintf("renewal %s is still %s", other.ID, other.Status),
		Err:    conflict.Err,
	}
}

// Renewal returns a renewal; kind NotFound if there is none.
func (l *Line) Renewal(ctx context.Context, id string) (*modelswap.Renewal, error) {
	found, err := queryRenewals(ctx, l.read, renewalSQL, id, l.id)
	if err != nil {
		return nil, failed("renewal", err)
	}
	if len(found) == 0 {
		return nil, noRenewal(id)
	}
	return found[0], nil
}

func noRenewal(id string) error {
	return failure.Errorf(failure.NotFound, "there is no renewal %q", id)
}

// Renewals returns the newest renewals, newest first, at most limit, older than the
// one named by before, unless that is empty; kind NotFound if there is no such one.
func (l *Line) Renewals(ctx context.Context, limit int, before string) ([]*modelswap.Renewal, error) {
	if limit <= 0 {
		return nil, nil
	}
	if before == "" {
		found, err := queryRenewals(ctx, l.read, newestRenewalsSQL, l.id, limit)
		return found, failed("renewals", err)
	}
	found, err := queryRenewals(ctx, l.read, olderRenewalsSQL, l.id, before, limit)
	if err == nil && len(found) == 0 {
		// before is the oldest one, or there is no such renewal.
		_, err = l.Renewal(ctx, before)
	}
	return found, failed("renewals", err)
}

// unfinished returns the renewal that is queued or running, or nil.
func (l *Line) unfinished(ctx context.Context) (*modelswap.Renewal, error) {
	found, err := queryRenewals(ctx, l.read, unfinishedSQL, l.id)
	if len(found) == 0 || err != nil {
		return nil, err
	}
	return found[0], nil
}

// queryer is a *sql.DB or a *sql.Tx.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// queryRenewals runs one of the queries above.
func queryRenewals(ctx context.Context, db queryer, query string, args ...any) ([]*modelswap.Renewal, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []*modelswap.Renewal
	for rows.Next() {
		r, step, err := scanRenewal(rows)
		if err != nil {
			return nil, err
		}
		if last := len(found) - 1; last >= 0 && found[last].ID == r.ID {
			r = found[last]
		} else {
			found = append(found, r)
		}
		if step != nil {
			r.Steps = append(r.Steps, *step)
		}
	}
	for _, r := range found {
		r.Steps = withPending(r.Steps)
	}
	return found, rows.Err()
}

// scanRenewal reads a row of selectRenewalsSQL: the renewal without its steps,
// and one step or nil.
func scanRenewal(from row) (*modelswap.Renewal, *modelswap.Step, error) {
	var r modelswap.Renewal
	var step stepColumns
	var overrides, metrics, state []byte
	var created, wake int64
	var finished sql.Null[int64]
	var model sql.Null[string]
	err := from.Scan(&r.ID, &r.Revision, &r.Status, &r.Trigger, &r.Reason, &overrides, &r.Force, &created,
		&finished, &model, &metrics, &state, &r.Error, &wake, &r.Cancelling,
		&step.name, &step.attempt, &step.status, &step.started, &step.finished, &step.detail, &step.err)
	if err != nil {
		return nil, nil, err
	}
	r.CreatedAt, r.FinishedAt, r.Model = fromMicros(created), optionalTime(finished), pointer(model)
	r.WakeAt = fromWakeMicros(wake)
	if err := errors.Join(json.Unmarshal(overrides, &r.Overrides), json.Unmarshal(metrics, &r.Metrics),
		json.Unmarshal(state, &r.State)); err != nil {
		return nil, nil, fmt.Errorf("renewal %s: %w", r.ID, err)
	}
	s, err := step.step()
	return &r, s, err
}

// wakeMicros is how WakeAt is stored: 0 for the zero time, which means at once.
func wakeMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return micros(t)
}

// fromWakeMicros is the inverse of wakeMicros.
func fromWakeMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return fromMicros(us)
}
