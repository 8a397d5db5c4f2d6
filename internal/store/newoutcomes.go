package store

import (
	"context"
	"time"

	"gateway/internal/modelswap"
)

// outcomesAfterSQL counts customers by the caller who reported the outcome; the
// caller of settled ones is empty. The condition outcome > 0 lets the partial index
// be used.
const outcomesAfterSQL = `
SELECT who, count(*) FROM (
    SELECT CASE WHEN labelled_at IS NULL OR labelled_at < $2 OR (origin <> 'app' AND imported_label = label)
                THEN '' ELSE coalesce(caller, 'unknown') END AS who
    FROM customers WHERE outcome > 0 AND outcome > $1 AND (origin <> 'app' OR $3 = 0)) waiting
GROUP BY who`

// OutcomesAfter counts the customers whose label was set by an outcome with a
// number above after. One that was received before settled counts as settled.
// known leaves out customers made from predictions.
func (s *Store) OutcomesAfter(ctx context.Context, after int64, settled time.Time, known bool) (modelswap.NewOutcomes, error) {
	counts := modelswap.NewOutcomes{ByCaller: make(map[string]int64)}
	var before int64
	if !settled.IsZero() {
		before = micros(settled)
	}
	rows, err := s.read.QueryContext(ctx, outcomesAfterSQL, after, before, flag(known))
	if err != nil {
		return counts, failed("outcomes after", err)
	}
	defer rows.Close()
	for rows.Next() {
		var caller string
		var n int64
		if err := rows.Scan(&caller, &n); err != nil {
			return counts, failed("outcomes after", err)
		}
		if caller == "" {
			counts.Settled = n
		} else {
			counts.ByCaller[caller] = n
		}
	}
	return counts, failed("outcomes after", rows.Err())
}
