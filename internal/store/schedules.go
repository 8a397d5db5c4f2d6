package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"gateway/internal/modelswap"
)

// scheduleKind is the kind of all renewals, and the key of the first line's schedule.
const scheduleKind = "model"

const (
	scheduleSQL       = `SELECT revision, state FROM schedules WHERE kind = $1`
	insertScheduleSQL = `INSERT INTO schedules (kind, revision, state, line) VALUES ($1, 1, $2, $3) ON CONFLICT (kind) DO NOTHING`
	updateScheduleSQL = `UPDATE schedules SET revision = revision + 1, state = $1 WHERE kind = $2 AND revision = $3`
	raiseOutcomesSQL  = `UPDATE counters SET value = $1 WHERE name = 'outcomes' AND value < $1`
	newestOutcomeSQL  = `SELECT value FROM counters WHERE name = 'outcomes'`
)

// Schedule returns the schedule of renewals; the zero Schedule before the first
// save.
func (l *Line) Schedule(ctx context.Context) (modelswap.Schedule, error) {
	var schedule modelswap.Schedule
	var state []byte
	var revision int64
	err := l.read.QueryRowContext(ctx, scheduleSQL, l.key(scheduleKind)).Scan(&revision, &state)
	if errors.Is(err, sql.ErrNoRows) {
		return schedule, nil
	}
	if err == nil {
		err = json.Unmarshal(state, &schedule)
	}
	schedule.Revision = revision
	return schedule, failed("schedule", err)
}

// SaveSchedule saves the schedule if the stored revision is still that of schedule,
// and inserts the renewal, unless that is nil, in one transaction. It returns
// modelswap.ErrStale if another process has saved meanwhile, and a conflict as
// InsertRenewal does.
func (l *Line) SaveSchedule(ctx context.Context, schedule modelswap.Schedule, r *modelswap.Renewal) error {
	state, err := encode(schedule)
	if err != nil {
		return failed("save schedule", err)
	}
	err = l.inWrite(ctx, "save schedule", func(tx *sql.Tx) error {
		query, args := updateScheduleSQL, []any{state, l.key(scheduleKind), schedule.Revision}
		if schedule.Revision == 0 {
			query, args = insertScheduleSQL, []any{l.key(scheduleKind), state, l.id}
		}
		result, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return modelswap.ErrStale
		}
		if r == nil {
			return nil
		}
		return l.insertRenewal(ctx, tx, r)
	})
	if err != nil && r != nil {
		return l.renewalConflict(ctx, r.ID, err)
	}
	if err == nil && r != nil {
		r.Revision = 1
	}
	return err
}

// maxRaise is the highest number to which the number of outcomes is raised. A higher
// one was not assigned by a gateway, and would leave none for later outcomes.
const maxRaise = 1 << 53

// RaiseOutcomes implements modelswap.Schedules.
func (s *Store) RaiseOutcomes(ctx context.Context, above int64) error {
	if above > maxRaise {
		return nil
	}
	return s.inWrite(ctx, "raise the number of outcomes", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, raiseOutcomesSQL, above)
		return err
	})
}

// NewestOutcome returns the number of the newest outcome; 0 if there is none.
func (s *Store) NewestOutcome(ctx context.Context) (int64, error) {
	var n int64
	err := s.read.QueryRowContext(ctx, newestOutcomeSQL).Scan(&n)
	return n, failed("newest outcome", err)
}
