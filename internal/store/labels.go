package store

import (
	"context"
	"database/sql"
	"errors"

	"gateway/internal/predict"
)

// If customers are stored elsewhere, the customers' table here has those with
// outcomes. Their labels are copied to the store elsewhere.

const (
	labelColumnsSQL = `SELECT id, features, label, label_at, outcome, ` + receivedSQL + `, ` + evidenceColumns + ` FROM customers `

	// The first condition follows from the second, and lets the partial index be used.
	labelsAfterSQL = labelColumnsSQL + `WHERE outcome > 0 AND outcome > $1 ORDER BY outcome LIMIT $2`

	markSQLGet = `SELECT value FROM counters WHERE name = $1`
	markSQLSet = `INSERT INTO counters (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE
SET value = CASE WHEN excluded.value > counters.value THEN excluded.value ELSE counters.value END`
)

// LabelsAfter returns the customers whose label was set by an outcome with a
// number above after, lowest number first, at most limit.
func (s *Store) LabelsAfter(ctx context.Context, after int64, limit int) ([]predict.LabelledCustomer, error) {
	all, err := s.labels(ctx, labelsAfterSQL, after, int64(limit))
	return all, failed("labels after", err)
}

// LabelsOf returns those of the customers whose label an outcome set, in no order.
func (s *Store) LabelsOf(ctx context.Context, ids []string) ([]predict.LabelledCustomer, error) {
	var all []predict.LabelledCustomer
	for len(ids) > 0 {
		n := min(len(ids), idsPerQuery)
		args := make([]any, n)
		for i, id := range ids[:n] {
			args[i] = id
		}
		some, err := s.labels(ctx, labelColumnsSQL+`WHERE outcome > 0 AND id IN (`+placeholders(n)+`)`, args...)
		if err != nil {
			return nil, failed("labels", err)
		}
		all, ids = append(all, some...), ids[n:]
	}
	return all, nil
}

func (s *Store) labels(ctx context.Context, query string, args ...any) ([]predict.LabelledCustomer, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []predict.LabelledCustomer
	for rows.Next() {
		var c predict.LabelledCustomer
		var y sql.Null[int64]
		var at, received int64
		var e evidence
		if err := rows.Scan(&c.ID, &c.Features, &y, &at, &c.Outcome, &received, &e.origin, &e.caller, &e.labelledAt, &e.imported); err != nil {
			return nil, err
		}
		c.Label, c.ObservedAt, c.Evidence = fromLabel(y), fromMicros(plausible(at, received, s.now())), e.of()
		all = append(all, c)
	}
	return all, rows.Err()
}

// Mark returns the number that SetMark stored under a name; zero if there is none.
func (s *Store) Mark(ctx context.Context, name string) (value int64, err error) {
	err = s.read.QueryRowContext(ctx, markSQLGet, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return value, failed("mark", err)
}

// SetMark stores a number under a name, unless the stored number is higher: then the
// process was stopped for a while.
func (s *Store) SetMark(ctx context.Context, name string, value int64) error {
	return s.setMark(ctx, urgent, name, value)
}

func (s *Store) setMark(ctx context.Context, c class, name string, value int64) error {
	return s.inTurn(ctx, writing{operation: "set mark", class: c, proves: true}, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, markSQLSet, name, value)
		return err
	})
}
