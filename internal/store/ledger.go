package store

import (
	"context"
	"database/sql"
	"time"

	"gateway/internal/predict"
)

const insertPredictionSQL = `
INSERT INTO predictions
    (id, customer_id, created_at, features, score, label, model, schema, latency_us)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO NOTHING`

// recentSQL looks among the newest predictions only, whose ids are the highest.
const recentSQL = `
SELECT id, coalesce(customer_id, ''), created_at, features, score, label, model, schema, latency_us
FROM (SELECT * FROM predictions ORDER BY id DESC LIMIT $1) newest
WHERE model = $2 ORDER BY id DESC LIMIT $3`

// recentLook is how many of the newest predictions count as recent ones.
const recentLook = 10_000

// RecentPredictions returns the newest predictions of a model, at most limit,
// out of those that were made last, by whichever model.
func (s *Store) RecentPredictions(ctx context.Context, model string, limit int) ([]predict.Prediction, error) {
	rows, err := s.read.QueryContext(ctx, recentSQL, recentLook, model, limit)
	if err != nil {
		return nil, failed("recent predictions", err)
	}
	defer rows.Close()
	var found []predict.Prediction
	for rows.Next() {
		var p predict.Prediction
		var created, latency int64
		if err := rows.Scan(&p.ID, &p.CustomerID, &created, &p.Features, &p.Score, &p.Label, &p.Model, &p.Schema, &latency); err != nil {
			return nil, failed("recent predictions", err)
		}
		p.CreatedAt, p.Latency = fromMicros(created), time.Duration(latency)*time.Microsecond
		found = append(found, p)
	}
	return found, failed("recent predictions", rows.Err())
}

// LedgerStats tells how Append fares.
type LedgerStats struct {
	Queued int   // calls that wait for their transaction
	Groups int64 // transactions committed since the store was opened
	Rows   int64 // predictions in them
}

// Append records predictions, all or none. They are on disk when it returns
// nil. A prediction whose id is known is ignored, so that a call may be
// repeated. Reasons are not recorded.
//
// Concurrent calls share transactions, but no failure: where one call's
// predictions are refused, the others' are written. If ctx ends while the call
// waits for its turn, nothing is recorded and the error matches ctx.Err(); once
// its transaction has begun, ctx has no say any more. After Close the error
// matches ErrClosed.
func (s *Store) Append(ctx context.Context, predictions []predict.Prediction) error {
	if len(predictions) == 0 {
		return nil
	}
	call, err := s.appends.enqueue(ctx, predictions)
	if err == nil {
		err = s.appends.wait(ctx, call)
	}
	return failed("append predictions", err)
}

// LedgerStats returns the figures of this moment.
func (s *Store) LedgerStats() LedgerStats {
	return LedgerStats{Queued: len(s.appends.queue), Groups: s.appends.groups.Load(), Rows: s.appends.rows.Load()}
}

// commit writes a group. It runs in the committer's goroutine, under no
// caller's context: a caller who leaves must not take the others' rows along.
func (s *Store) commit(first *appendCall) {
	ctx := context.Background()
	// The group is gathered only once the transaction is open. Until then
	// another writer may hold the connection; who comes meanwhile is in time,
	// and who leaves meanwhile is not written.
	tx, err := s.write.BeginTx(ctx, nil)
	calls := s.appends.gather(first)
	if err == nil {
		err = s.insertPredictions(ctx, tx, calls)
	}
	if len(calls) > 1 && violationOf(err) != noViolation || lostRace(err) {
		// One call holds rows that the tables refuse, or that another process
		// writes at this moment: each for itself, then.
		for _, call := range calls {
			call.finish(s.commitAlone(ctx, call))
		}
		return
	}
	for _, call := range calls {
		call.finish(err)
	}
}

func (s *Store) commitAlone(ctx context.Context, call *appendCall) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	return s.insertPredictions(ctx, tx, []*appendCall{call})
}

// insertPredictions writes the calls' predictions and ends the transaction.
func (s *Store) insertPredictions(ctx context.Context, tx *sql.Tx, calls []*appendCall) error {
	defer tx.Rollback()                               // after a commit it does nothing
	insert := tx.StmtContext(ctx, s.insertPrediction) //nolint:sqlclosecheck // it is closed with the transaction
	rows := 0
	for _, call := range calls {
		for i := range call.predictions {
			p := &call.predictions[i]
			if _, err := insert.ExecContext(ctx, p.ID, textOrNull(p.CustomerID), micros(p.CreatedAt), string(p.Features),
				p.Score, int64(p.Label), p.Model, p.Schema, p.Latency.Microseconds()); err != nil {
				return err
			}
		}
		rows += len(call.predictions)
	}
	if rows == 0 {
		return nil // everyone has left
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.appends.groups.Add(1)
	s.appends.rows.Add(int64(rows))
	return nil
}
