package store

import (
	"context"
	"database/sql"
	"time"

	"gateway/internal/audit"
	"gateway/internal/failure"
)

const (
	beginActSQL = `
INSERT INTO acts (id, at, token, address, forwarded_for, request_id, action, target, detail, status)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)`

	countActSQL = `
INSERT INTO acts (id, at, token, address, forwarded_for, request_id, action, target, detail, status, count)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (id) DO UPDATE SET count = excluded.count, detail = excluded.detail`

	// An operator's act has the name of a token; a failed sign-in has none.
	removeSignInsSQL = `DELETE FROM acts WHERE token = '' AND at < $1`

	endActSQL = `UPDATE acts SET status = $1, target = CASE WHEN $2 = '' THEN target ELSE $2 END WHERE id = $3`

	selectActsSQL = `
SELECT id, at, token, address, forwarded_for, request_id, action, target, detail, status, count FROM acts `

	newestActsSQL = selectActsSQL + `ORDER BY at DESC, id DESC LIMIT $1`

	olderActsSQL = selectActsSQL + `
WHERE (at, id) < (SELECT at, id FROM acts WHERE id = $1) ORDER BY at DESC, id DESC LIMIT $2`
)

// BeginAct records an act that begins.
func (s *Store) BeginAct(ctx context.Context, a audit.Entry) error {
	return s.inWrite(ctx, "begin act", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, beginActSQL, a.ID, micros(a.At), a.Token, a.Address, a.Forwarded, a.RequestID,
			a.Action, a.Target, a.Detail)
		return err
	})
}

// CountAct records an entry that stands for Count equal acts, or updates the Count
// and Detail of a recorded one.
func (s *Store) CountAct(ctx context.Context, a audit.Entry) error {
	return s.inWrite(ctx, "count act", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, countActSQL, a.ID, micros(a.At), a.Token, a.Address, a.Forwarded, a.RequestID,
			a.Action, a.Target, a.Detail, int64(a.Status), a.Count)
		return err
	})
}

// RemoveSignIns removes the failed sign-ins that began before a time.
func (s *Store) RemoveSignIns(ctx context.Context, before time.Time) error {
	return s.inWrite(ctx, "remove sign-ins", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, removeSignInsSQL, micros(before))
		return err
	})
}

// EndAct records the status of an act that ended. An empty target keeps the recorded
// one.
func (s *Store) EndAct(ctx context.Context, id string, status int, target string) error {
	return s.inWrite(ctx, "end act", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, endActSQL, int64(status), target, id)
		return err
	})
}

// Acts returns the newest acts, newest first, at most limit, older than the act
// named by before, unless that is empty; kind NotFound if there is no such act.
func (s *Store) Acts(ctx context.Context, limit int, before string) ([]audit.Entry, error) {
	query, args := newestActsSQL, []any{limit}
	if before != "" {
		var known int
		err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM acts WHERE id = $1`, before).Scan(&known)
		if err != nil {
			return nil, failed("acts", err)
		}
		if known == 0 {
			return nil, failure.Errorf(failure.NotFound, "there is no act %q", before)
		}
		query, args = olderActsSQL, []any{before, limit}
	}
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, failed("acts", err)
	}
	defer rows.Close()
	acts := []audit.Entry{}
	for rows.Next() {
		var a audit.Entry
		var at int64
		if err := rows.Scan(&a.ID, &at, &a.Token, &a.Address, &a.Forwarded, &a.RequestID, &a.Action, &a.Target, &a.Detail, &a.Status, &a.Count); err != nil {
			return nil, failed("acts", err)
		}
		a.At = fromMicros(at)
		acts = append(acts, a)
	}
	return acts, failed("acts", rows.Err())
}
