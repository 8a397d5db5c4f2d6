package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gateway/internal/predict"
)

// predictionColumns is how many parameters a row of the ledger has when it is made.
// Its line is a part of the statement.
const predictionColumns = 12

// inserts is how rows are inserted into an engine.
type inserts struct {
	// sizes are the numbers of rows that one statement inserts, largest first. A call
	// uses the largest that fits, so that few statements are prepared.
	sizes []int
	// numbered says that parameters are $1, $2, … instead of ?.
	numbered bool
	// atOnce is how many rows one transaction inserts.
	atOnce int
	// unflushed says that a commit can leave its flush to a later one, as Append does.
	unflushed bool
	// gentle says that Append pauses between few rows; see GentleRows.
	gentle bool
	// ordered says that Append inserts rows in the order of their ids. Two processes
	// that insert some of the same rows in different orders would deadlock.
	ordered bool
}

// GentleRows is the largest number of rows that Append inserts into SQLite with
// short pauses in between. On one processor an insert delays all requests, and a
// millisecond is long compared with a prediction. Larger calls are made to reduce
// a backlog, and have no pauses.
const GentleRows = 64

const (
	restAfter = 8 // rows
	// restTime is the minimum time for which the goroutine is parked. The scheduler
	// polls the network then, which it does not do for runtime.Gosched.
	restTime = 100 * time.Microsecond
)

var (
	// SQLite treats $1 as a name and searches all names for each value, which took a
	// fifth of the time.
	sqliteInserts = inserts{sizes: []int{restAfter, 1}, atOnce: 64, unflushed: true, gentle: true}
	// A thousand rows take about thirty round trips.
	postgresInserts = inserts{sizes: []int{32, 8, 1}, atOnce: 256, numbered: true, ordered: true}
)

// insertPredictionsSQL inserts a number of rows of a line.
func insertPredictionsSQL(rows int, numbered bool, line int64) string {
	var b strings.Builder
	b.WriteString(`
INSERT INTO predictions
    (line, id, customer_id, created_at, caller, features, personal, score, label, model, schema, latency_us, bins)
VALUES `)
	for r := range rows {
		if r > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "(%d", line)
		for c := range predictionColumns {
			b.WriteByte(',')
			if numbered {
				fmt.Fprintf(&b, "$%d", r*predictionColumns+c+1)
			} else {
				b.WriteByte('?')
			}
		}
		b.WriteByte(')')
	}
	b.WriteString(" ON CONFLICT (id) DO NOTHING")
	return b.String()
}

// Append records predictions, in transactions of a bounded number of rows, and counts
// them in the sums of insights. A killed process loses none of them once it returns
// nil, and a power cut none after Flush. An error may leave some of them recorded. A
// prediction whose id is recorded already is ignored and not counted, so that a call
// may be repeated. Reasons are not recorded. If the tables refuse a row, the error is
// of kind Invalid.
func (l *Line) Append(ctx context.Context, predictions []predict.Prediction) error {
	if len(predictions) == 0 {
		return nil
	}
	if l.inserts.ordered && !slices.IsSortedFunc(predictions, byID) {
		predictions = slices.SortedStableFunc(slices.Values(predictions), byID)
	}
	w := writing{operation: "append predictions", class: classOf(len(predictions), bulk), unflushed: true, proves: true}
	gentle := l.inserts.gentle && len(predictions) <= GentleRows
	for some := range slices.Chunk(predictions, l.inserts.atOnce) {
		err := l.inTurn(ctx, w, func(tx *sql.Tx) error { return l.insertPredictions(ctx, tx, some, gentle, false) })
		if errors.Is(err, errRepeated) {
			err = l.inTurn(ctx, w, func(tx *sql.Tx) error { return l.insertPredictions(ctx, tx, some, gentle, true) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func byID(a, b predict.Prediction) int { return strings.Compare(a.ID, b.ID) }

// insertPredictions inserts predictions and counts those that were not recorded
// before. A statement for several rows does not say which of them these are: if it
// did not insert all of its rows, the error is errRepeated, and they must be inserted
// again, one by one.
func (l *Line) insertPredictions(ctx context.Context, tx *sql.Tx, predictions []predict.Prediction, gentle, oneByOne bool) error {
	var fresh counted
	defer func() { fresh.free() }()
	args := make([]any, 0, predictionColumns*min(len(predictions), l.inserts.sizes[0]))
	for done := 0; done < len(predictions); {
		left := predictions[done:]
		if gentle && done > 0 && done%restAfter == 0 {
			time.Sleep(restTime)
		}
		size := 1
		if !oneByOne {
			size = l.inserts.sizes[slices.IndexFunc(l.inserts.sizes, func(n int) bool { return n <= len(left) })]
		}
		args = args[:0]
		for i := range left[:size] {
			p := &left[i]
			args = append(args, p.ID, textOrNull(p.CustomerID), micros(p.CreatedAt), textOrNull(p.Caller), string(p.Features),
				textOrNull(string(p.Personal)), p.Score, int64(p.Label), p.Model, p.Schema, p.Latency.Microseconds(), string(p.Bins))
		}
		insert := tx.StmtContext(ctx, l.insertPredictionRows[size]) //nolint:sqlclosecheck // it is closed with the transaction
		result, err := insert.ExecContext(ctx, args...)
		if err != nil {
			return err
		}
		inserted, err := result.RowsAffected()
		if err != nil {
			return err
		}
		if inserted < int64(size) && size > 1 {
			return errRepeated
		}
		for i := range left[:inserted] {
			if l.CountsNothing {
				break
			}
			fresh.of(&left[i]).CountPrediction(&left[i])
		}
		done += size
	}
	return fresh.write(ctx, tx, l)
}

// flushedMark is the name of the mark that Flush sets.
const flushedMark = "flushed"

// Flush flushes the rows of earlier calls of Append to the disk. With PostgreSQL
// Append has done so.
func (s *Store) Flush(ctx context.Context) error {
	if !s.inserts.unflushed {
		return nil
	}
	// SQLite's log is one file: a flushed commit flushes all before it.
	return s.setMark(ctx, bulk, flushedMark, micros(s.now()))
}

// prepareInserts prepares a statement for each of these numbers of rows.
func prepareInserts(ctx context.Context, db *sql.DB, how inserts, line int64) (map[int]*sql.Stmt, error) {
	statements := make(map[int]*sql.Stmt)
	for _, rows := range how.sizes {
		statement, err := db.PrepareContext(ctx, insertPredictionsSQL(rows, how.numbered, line)) //nolint:sqlclosecheck // the store keeps it for as long as it lives
		if err != nil {
			return nil, err
		}
		statements[rows] = statement
	}
	return statements, nil
}

// removePredictionsSQL looks among the oldest predictions only, whose ids are the
// lowest: with an index by age, inserts would take an eighth longer.
const removePredictionsSQL = `
DELETE FROM predictions WHERE id IN
    (SELECT id FROM (SELECT id, created_at FROM predictions ORDER BY id LIMIT $2) oldest WHERE created_at < $1 ORDER BY id LIMIT $3)`

// removedAtOnce is how many rows one transaction removes.
const removedAtOnce = 64

// RemovePredictions removes those of the oldest predictions, at most limit, that
// were made before a time, and returns how many it removed, also with an error.
// Outcomes and the customers' labels stay. Several processes may call it at once.
//
// Each transaction searches the limit oldest, so that a few rows that are younger
// than their ids do not end the removal.
func (s *Store) RemovePredictions(ctx context.Context, before time.Time, limit int) (removed int64, err error) {
	for left := limit; left > 0; left -= removedAtOnce {
		n, err := s.removeSome(ctx, "remove predictions", removePredictionsSQL, micros(before), limit, min(left, removedAtOnce))
		removed += n
		if n == 0 || err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// removeSome runs a statement that removes rows, in one transaction.
func (s *Store) removeSome(ctx context.Context, operation, query string, args ...any) (removed int64, err error) {
	err = s.inTurn(ctx, writing{operation: operation, class: bulk}, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		removed, err = result.RowsAffected()
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// recentSQL looks among the newest predictions of the line only, whose ids are the
// highest.
const recentSQL = `
SELECT id, coalesce(customer_id, ''), created_at, coalesce(caller, ''), features, score, label, model, schema, latency_us
FROM (SELECT * FROM predictions WHERE line = $1 ORDER BY id DESC LIMIT $2) newest
WHERE model = $3 ORDER BY id DESC LIMIT $4`

// recentLook is how many of the newest predictions are searched.
const recentLook = 10_000

// RecentPredictions returns the newest predictions of a model, at most limit. It
// searches the recentLook newest predictions of the line, of any model.
func (l *Line) RecentPredictions(ctx context.Context, model string, limit int) ([]predict.Prediction, error) {
	rows, err := l.read.QueryContext(ctx, recentSQL, l.id, recentLook, model, limit)
	if err != nil {
		return nil, failed("recent predictions", err)
	}
	defer rows.Close()
	var found []predict.Prediction
	for rows.Next() {
		var p predict.Prediction
		var created, latency int64
		if err := rows.Scan(&p.ID, &p.CustomerID, &created, &p.Caller, &p.Features, &p.Score, &p.Label, &p.Model, &p.Schema, &latency); err != nil {
			return nil, failed("recent predictions", err)
		}
		p.CreatedAt, p.Latency = fromMicros(created), time.Duration(latency)*time.Microsecond
		found = append(found, p)
	}
	return found, failed("recent predictions", rows.Err())
}
