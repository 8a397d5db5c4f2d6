package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"gateway/internal/predict"
)

// Outcomes that match nothing are found before a write transaction begins, by
// queries for many ids at a time. The transaction looks the others up again, and
// also checks that a prediction is of its line.

const (
	knownPredictionsSQL = `
SELECT column1 FROM (VALUES %s) AS asked
WHERE EXISTS (SELECT 1 FROM predictions WHERE id = column1)`

	// A customer's id may also be that of an anonymous prediction.
	knownCustomersSQL = `
SELECT column1 FROM (VALUES %s) AS asked
WHERE EXISTS (SELECT 1 FROM customers WHERE id = column1)
   OR EXISTS (SELECT 1 FROM predictions WHERE customer_id = column1)
   OR EXISTS (SELECT 1 FROM predictions WHERE id = column1 AND customer_id IS NULL)`
)

// idsAtOnce is how many ids one query has. SQLite searches the names of all
// parameters for each of them, so more ids would cost more each.
const idsAtOnce = 128

// knownQuery selects those of some ids that exist.
type knownQuery struct {
	one, many *sql.Stmt // for one id; for idsAtOnce of them
}

type knownQueries struct {
	predictions, customers knownQuery
}

func prepareKnown(ctx context.Context, db *sql.DB) (q knownQueries, err error) {
	if q.predictions, err = prepareKnownQuery(ctx, db, knownPredictionsSQL); err == nil {
		q.customers, err = prepareKnownQuery(ctx, db, knownCustomersSQL)
	}
	return q, err
}

func prepareKnownQuery(ctx context.Context, db *sql.DB, text string) (q knownQuery, err error) {
	if q.one, err = db.PrepareContext(ctx, fmt.Sprintf(text, parameterRows(1))); err == nil {
		q.many, err = db.PrepareContext(ctx, fmt.Sprintf(text, parameterRows(idsAtOnce)))
	}
	return q, err
}

// parameterRows returns "($1), ($2), …, ($n)".
func parameterRows(n int) string {
	return "(" + strings.ReplaceAll(placeholders(n), ", ", "), (") + ")"
}

// mayMatch returns the indexes of the outcomes whose prediction or customer exists.
func (s *Store) mayMatch(ctx context.Context, outcomes []predict.Outcome) ([]int, error) {
	predictions, customers := make(map[string]bool), make(map[string]bool)
	for i := range outcomes {
		if id := outcomes[i].PredictionID; id != "" {
			predictions[id] = false
		} else {
			customers[outcomes[i].CustomerID] = false
		}
	}
	if err := s.markKnown(ctx, s.known.predictions, predictions); err != nil {
		return nil, err
	}
	if err := s.markKnown(ctx, s.known.customers, customers); err != nil {
		return nil, err
	}
	var may []int
	for i := range outcomes {
		if o := &outcomes[i]; o.PredictionID != "" && predictions[o.PredictionID] || o.PredictionID == "" && customers[o.CustomerID] {
			may = append(may, i)
		}
	}
	return may, nil
}

// markKnown sets those of the ids that exist to true.
func (s *Store) markKnown(ctx context.Context, q knownQuery, ids map[string]bool) error {
	if len(ids) == 1 {
		for id := range ids {
			return markFound(ctx, q.one, []any{id}, ids)
		}
	}
	args := make([]any, 0, idsAtOnce)
	for id := range ids {
		if args = append(args, id); len(args) == idsAtOnce {
			if err := s.markMany(ctx, q.many, args, ids); err != nil {
				return err
			}
			args = args[:0]
		}
	}
	if len(args) == 0 {
		return nil
	}
	for len(args) < idsAtOnce {
		args = append(args, "") // no id is empty
	}
	return s.markMany(ctx, q.many, args, ids)
}

// markMany runs one query for the ids of a list. One list does so at a time, so that
// lists use only one connection for reading.
func (s *Store) markMany(ctx context.Context, many *sql.Stmt, args []any, ids map[string]bool) error {
	select {
	case s.lookups <- struct{}{}:
		defer func() { <-s.lookups }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return markFound(ctx, many, args, ids)
}

func markFound(ctx context.Context, query *sql.Stmt, args []any, ids map[string]bool) error {
	rows, err := query.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		ids[id] = true
	}
	return rows.Err()
}
