package store

import (
	"context"
	"database/sql"
	"time"

	"gateway/internal/predict"
)

// Exports read pages, each with a statement of its own by the primary key, so that a
// slow reader holds neither a snapshot nor a connection. They include rows that are
// written meanwhile if their keys come after the rows that have been read.

const (
	customersAfterSQL = `SELECT id, features, label, demo, outcome FROM customers WHERE id > $1 ORDER BY id LIMIT $2`

	predictionsAfterSQL = `
SELECT id, coalesce(customer_id, ''), created_at, coalesce(caller, ''), features, personal, score, label, model, schema,
    latency_us, outcome, outcome_at, coalesce(bins, '')
FROM predictions WHERE id > $1 AND line = $2 ORDER BY id LIMIT $3`
)

// CustomersAfter returns the customers whose ids come after one, in the order of
// their ids as the database sorts text, at most limit. Their Evidence is not
// filled in.
func (s *Store) CustomersAfter(ctx context.Context, after string, limit int) ([]predict.Customer, error) {
	rows, err := s.read.QueryContext(ctx, customersAfterSQL, after, limit)
	if err != nil {
		return nil, failed("customers after", err)
	}
	defer rows.Close()
	var page []predict.Customer
	for rows.Next() {
		var c predict.Customer
		var y sql.Null[int64]
		if err := rows.Scan(&c.ID, &c.Features, &y, &c.Demo, &c.Outcome); err != nil {
			return nil, failed("customers after", err)
		}
		c.Label = fromLabel(y)
		page = append(page, c)
	}
	return page, failed("customers after", rows.Err())
}

// PredictionsAfter returns the line's predictions whose ids come after one, in the order
// of their ids, at most limit. Ids ascend with time.
func (l *Line) PredictionsAfter(ctx context.Context, after string, limit int) ([]predict.Recorded, error) {
	rows, err := l.read.QueryContext(ctx, predictionsAfterSQL, after, l.id, limit)
	if err != nil {
		return nil, failed("predictions after", err)
	}
	defer rows.Close()
	var page []predict.Recorded
	for rows.Next() {
		var p predict.Recorded
		var created, latency int64
		var outcome, outcomeAt sql.Null[int64]
		if err := rows.Scan(&p.ID, &p.CustomerID, &created, &p.Caller, &p.Features, &p.Personal, &p.Score, &p.Label, &p.Model, &p.Schema,
			&latency, &outcome, &outcomeAt, &p.Bins); err != nil {
			return nil, failed("predictions after", err)
		}
		p.CreatedAt, p.Latency = fromMicros(created), time.Duration(latency)*time.Microsecond
		p.Outcome, p.OutcomeAt = fromLabel(outcome), optionalTime(outcomeAt)
		if len(p.Bins) == 0 {
			p.Bins = nil
		}
		page = append(page, p)
	}
	return page, failed("predictions after", rows.Err())
}
