package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"gateway/internal/insights"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

// The transaction that changes the ledger inserts what it adds to the sums of
// insights, as parts: each prediction and each outcome counts exactly once, whatever is
// repeated, and transactions do not wait for each other's sums. MergeParts adds parts
// to the sums later.

const (
	sumColumns = `model, period, start, row_count, features, scores, outcomes, delays, segments`

	insertPartSQL = `
INSERT INTO insight_parts (id, line, ` + sumColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`

	// takePartsSQL takes about $2 of the oldest parts: all that are as old as the last of
	// them. A concurrent call does not take them too.
	takePartsSQL = `
DELETE FROM insight_parts WHERE line = $1 AND id <=
    (SELECT max(id) FROM (SELECT id FROM insight_parts WHERE line = $1 ORDER BY id LIMIT $2) oldest)
RETURNING ` + sumColumns

	// holdSumSQL makes a sum or locks it, and returns it.
	holdSumSQL = `
INSERT INTO insight_sums (line, ` + sumColumns + `) VALUES ($1, $2, $3, $4, 0, '', '', '', '', '')
ON CONFLICT (line, model, period, start) DO UPDATE SET row_count = insight_sums.row_count
RETURNING ` + sumColumns
	saveSumSQL = `
UPDATE insight_sums SET row_count = $1, features = $2, scores = $3, outcomes = $4, delays = $5, segments = $6
WHERE line = $7 AND model = $8 AND period = $9 AND start = $10`

	sumsFromSQL = ` FROM insight_sums WHERE line = $1 AND start >= $2 AND start < $3 AND ($4 = '' OR model = $4)
UNION ALL
SELECT %[1]s FROM insight_parts WHERE line = $1 AND start >= $2 AND start < $3 AND ($4 = '' OR model = $4)`

	// What a question does not need is not read: the texts of features are the longest.
	qualityColumns = `model, period, start, row_count, '', scores, outcomes, '', ''`
	delayColumns   = `model, period, start, row_count, '', '', '', delays, ''`
)

// partStatements are those of every transaction that inserts or merges parts, on write.
// To prepare them takes longer than to run them.
type partStatements struct{ insert, take, holdSum, saveSum *sql.Stmt }

func prepareParts(ctx context.Context, db *sql.DB) (p partStatements, err error) {
	for _, s := range []struct {
		statement **sql.Stmt
		text      string
	}{{&p.insert, insertPartSQL}, {&p.take, takePartsSQL}, {&p.holdSum, holdSumSQL}, {&p.saveSum, saveSumSQL}} {
		if *s.statement, err = db.PrepareContext(ctx, s.text); err != nil { //nolint:sqlclosecheck // the store keeps it for as long as it lives
			return p, err
		}
	}
	return p, nil
}

// counted is what a transaction adds to the sums of a line: the sums of some minutes.
// Most transactions have one or two.
type counted []*insights.Sum

// sumMemory has sums that are not in use. Making them anew takes about as long as
// counting.
var sumMemory = sync.Pool{New: func() any { return new(insights.Sum) }}

func (c *counted) of(p *predict.Prediction) *insights.Sum {
	for i := len(*c) - 1; i >= 0; i-- {
		if k := (*c)[i].Key; k.Model == p.Model {
			if d := p.CreatedAt.Sub(k.Start); d >= 0 && d < time.Duration(k.Period) {
				return (*c)[i]
			}
		}
	}
	sum := sumMemory.Get().(*insights.Sum)
	sum.Reset(insights.MinuteOf(p.Model, p.CreatedAt))
	*c = append(*c, sum)
	return sum
}

// free gives the memory of what all predictions have back: outcomes are in few sums.
func (c counted) free() {
	for _, sum := range c {
		*sum = insights.Sum{Features: sum.Features, Scores: sum.Scores}
		sumMemory.Put(sum)
	}
}

// write inserts all as parts.
func (c counted) write(ctx context.Context, tx *sql.Tx, l *Line) error {
	for _, sum := range c {
		args := append([]any{micros(l.now()), l.id, sum.Key.Model, periodMicros(sum.Key.Period), micros(sum.Key.Start)}, sumValues(sum)...)
		if _, err := tx.StmtContext(ctx, l.parts.insert).ExecContext(ctx, args...); err != nil { //nolint:sqlclosecheck // it is closed with the transaction
			return err
		}
	}
	return nil
}

func periodMicros(p insights.Period) int64 { return time.Duration(p).Microseconds() }

// sumValues are the values of the columns after the key.
func sumValues(s *insights.Sum) []any {
	values := make([]any, 1, 6)
	values[0] = s.Rows
	text := make([]byte, 0, 2<<10)
	for _, c := range []insights.Counts{s.Features, s.Scores, s.Outcomes, s.Delays, s.Segments} {
		text = c.AppendText(text[:0])
		values = append(values, string(text))
	}
	return values
}

func scanSum(from row) (s insights.Sum, err error) {
	var period, start int64
	var texts [5]string
	err = from.Scan(&s.Key.Model, &period, &start, &s.Rows, &texts[0], &texts[1], &texts[2], &texts[3], &texts[4])
	if err != nil {
		return s, err
	}
	s.Key.Period, s.Key.Start = insights.Period(time.Duration(period)*time.Microsecond), fromMicros(start)
	for i, c := range []*insights.Counts{&s.Features, &s.Scores, &s.Outcomes, &s.Delays, &s.Segments} {
		if *c, err = insights.ParseCounts(texts[i]); err != nil {
			return s, err
		}
	}
	return s, nil
}

// Sums returns the sums of periods that begin at from or later, and before to, in no
// order. There may be several of the same key, which are to be added. An empty model
// stands for all.
func (l *Line) Sums(ctx context.Context, model string, from, to time.Time) ([]insights.Sum, error) {
	return l.someSums(ctx, sumColumns, model, from, to)
}

// QualitySums are the Sums with Rows, Scores and Outcomes alone.
func (l *Line) QualitySums(ctx context.Context, model string, from, to time.Time) ([]insights.Sum, error) {
	return l.someSums(ctx, qualityColumns, model, from, to)
}

// DelaySums are the Sums of all models with Rows and Delays alone.
func (l *Line) DelaySums(ctx context.Context, from, to time.Time) ([]insights.Sum, error) {
	return l.someSums(ctx, delayColumns, "", from, to)
}

func (l *Line) someSums(ctx context.Context, columns, model string, from, to time.Time) ([]insights.Sum, error) {
	rows, err := l.read.QueryContext(ctx, fmt.Sprintf("SELECT %[1]s"+sumsFromSQL, columns), l.id, micros(from), micros(to), model)
	if err != nil {
		return nil, failed("sums", err)
	}
	all, err := scanSums(rows)
	return all, failed("sums", err)
}

// scanSums reads all rows and closes them.
func scanSums(rows *sql.Rows) (all []insights.Sum, err error) {
	defer rows.Close()
	for rows.Next() {
		s, err := scanSum(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// partsAtOnce is how many parts one transaction merges.
const partsAtOnce = 64

// MergeParts adds about partsAtOnce parts to their sums. It returns how many they were
// and whether there may be more. Several processes may call it at once.
func (l *Line) MergeParts(ctx context.Context) (merged int, more bool, err error) {
	err = l.inTurn(ctx, writing{operation: "merge sums", class: bulk, unflushed: true}, func(tx *sql.Tx) error {
		rows, err := tx.StmtContext(ctx, l.parts.take).QueryContext(ctx, l.id, partsAtOnce) //nolint:sqlclosecheck // it is closed with the transaction
		if err != nil {
			return err
		}
		parts, err := scanSums(rows)
		if err != nil {
			return err
		}
		merged = len(parts)
		return l.addSums(ctx, tx, parts)
	})
	return merged, merged >= partsAtOnce, err
}

// addSums adds parts to the sums of their keys. Sums are locked in the order of their
// keys, so that two calls do not deadlock.
func (l *Line) addSums(ctx context.Context, tx *sql.Tx, parts []insights.Sum) error {
	slices.SortStableFunc(parts, func(a, b insights.Sum) int { return a.Key.Compare(b.Key) })
	hold, save := tx.StmtContext(ctx, l.parts.holdSum), tx.StmtContext(ctx, l.parts.saveSum) //nolint:sqlclosecheck // they are closed with the transaction
	for len(parts) > 0 {
		key := parts[0].Key
		sum, err := scanSum(hold.QueryRowContext(ctx, l.id, key.Model, periodMicros(key.Period), micros(key.Start)))
		if err != nil {
			return err
		}
		for len(parts) > 0 && parts[0].Key == key {
			sum.Merge(&parts[0])
			parts = parts[1:]
		}
		args := append(sumValues(&sum), l.id, key.Model, periodMicros(key.Period), micros(key.Start))
		if _, err := save.ExecContext(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

const (
	// foldSQL takes the sums of one model in a coarser period.
	foldSQL = `
DELETE FROM insight_sums WHERE line = $1 AND period = $2 AND model = $3 AND start >= $4 AND start < $5 RETURNING ` + sumColumns
	oldestSumSQL = `
SELECT model, start FROM insight_sums WHERE line = $1 AND period = $2 AND start < $3 ORDER BY start LIMIT 1`
)

// Fold adds the sums of one model in the oldest coarser period before a time to one sum
// of that period. It reports whether there were any. before is the start of a coarser
// period.
func (l *Line) Fold(ctx context.Context, fine, coarse insights.Period, before time.Time) (folded bool, err error) {
	err = l.inTurn(ctx, writing{operation: "fold sums", class: bulk, unflushed: true}, func(tx *sql.Tx) error {
		var model string
		var oldest int64
		err := tx.QueryRowContext(ctx, oldestSumSQL, l.id, periodMicros(fine), micros(before)).Scan(&model, &oldest)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		} else if err != nil {
			return err
		}
		start := coarse.Start(fromMicros(oldest))
		rows, err := tx.QueryContext(ctx, foldSQL, l.id, periodMicros(fine), model, micros(start), micros(start)+periodMicros(coarse))
		if err != nil {
			return err
		}
		sums, err := scanSums(rows)
		if err != nil {
			return err
		}
		for i := range sums {
			sums[i].Key = insights.Key{Model: model, Period: coarse, Start: start}
		}
		folded = true
		return l.addSums(ctx, tx, sums)
	})
	return folded, err
}

var errRepeated = errors.New("a prediction is recorded already")

const (
	uncountedSQL = `
SELECT id, created_at, features, score, label, model, schema FROM predictions WHERE line = $1 AND bins IS NULL ORDER BY id LIMIT $2`
	countRowSQL = `UPDATE predictions SET bins = $1 WHERE id = $2 AND bins IS NULL RETURNING outcome, outcome_at`
)

// Uncounted returns the oldest predictions that are not counted, as an earlier version
// of the gateway inserted them, at most limit.
func (l *Line) Uncounted(ctx context.Context, limit int) ([]predict.Prediction, error) {
	rows, err := l.read.QueryContext(ctx, uncountedSQL, l.id, limit)
	if err != nil {
		return nil, failed("uncounted predictions", err)
	}
	defer rows.Close()
	var uncounted []predict.Prediction
	for rows.Next() {
		var p predict.Prediction
		var created int64
		if err := rows.Scan(&p.ID, &created, &p.Features, &p.Score, &p.Label, &p.Model, &p.Schema); err != nil {
			return nil, failed("uncounted predictions", err)
		}
		p.CreatedAt = fromMicros(created)
		uncounted = append(uncounted, p)
	}
	return uncounted, failed("uncounted predictions", rows.Err())
}

// CountUncounted counts predictions that Uncounted returned, with their bins and their
// outcomes. One that was counted meanwhile is not counted again. The delay of an
// outcome is that of its observation, since the ledger does not have when it came.
func (l *Line) CountUncounted(ctx context.Context, predictions []predict.Prediction) error {
	for some := range slices.Chunk(predictions, l.inserts.atOnce) {
		err := l.inTurn(ctx, writing{operation: "count predictions", class: bulk}, func(tx *sql.Tx) error {
			var fresh counted
			defer func() { fresh.free() }()
			for i := range some {
				p := &some[i]
				var outcome, at sql.Null[int64]
				err := tx.QueryRowContext(ctx, countRowSQL, string(p.Bins), p.ID).Scan(&outcome, &at)
				if errors.Is(err, sql.ErrNoRows) {
					continue
				}
				if err != nil {
					return err
				}
				sum := fresh.of(p)
				sum.CountPrediction(p)
				if outcome.Valid {
					sum.CountOutcome(insights.Outcome{Prediction: p, Label: int(outcome.V), Received: fromMicros(at.V)})
				}
			}
			return fresh.write(ctx, tx, l)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

const (
	saveProfileSQL = `
INSERT INTO insight_profiles (line, model, created_at, profile) VALUES ($1, $2, $3, $4)
ON CONFLICT (line, model) DO UPDATE SET created_at = excluded.created_at, profile = excluded.profile, holdout = NULL`
	saveHoldoutSQL   = `UPDATE insight_profiles SET holdout = $1 WHERE line = $2 AND model = $3`
	profileSQL       = `SELECT profile, holdout FROM insight_profiles WHERE line = $1 AND model = $2`
	newestProfileSQL = `SELECT model, profile FROM insight_profiles WHERE line = $1 ORDER BY created_at DESC, model DESC LIMIT 1`
)

// SaveProfile stores the profile of the data of a model that a renewal makes, where
// by.Revision is the renewal's stored revision; else it returns modelswap.ErrStale. It
// replaces an earlier one, and removes what was kept of the held-out rows.
func (l *Line) SaveProfile(ctx context.Context, model string, p *insights.Profile, by modelswap.Fence) error {
	text, err := encode(p)
	if err != nil {
		return failed("save profile", err)
	}
	return l.inWrite(ctx, "save profile", func(tx *sql.Tx) error {
		if err := l.holdRenewal(ctx, tx, by); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, saveProfileSQL, l.id, model, micros(l.now()), text)
		return err
	})
}

// SaveHoldout adds what is kept of the held-out rows to the profile of a model, if it
// has one. It has the fence of SaveProfile.
func (l *Line) SaveHoldout(ctx context.Context, model string, h *insights.Holdout, by modelswap.Fence) error {
	text, err := encode(h)
	if err != nil {
		return failed("save profile", err)
	}
	return l.inWrite(ctx, "save profile", func(tx *sql.Tx) error {
		if err := l.holdRenewal(ctx, tx, by); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, saveHoldoutSQL, text, l.id, model)
		return err
	})
}

// Profile returns what is kept of the data of a model. Both are nil if there is
// nothing, and the second if the model was not evaluated.
func (l *Line) Profile(ctx context.Context, model string) (*insights.Profile, *insights.Holdout, error) {
	var profile string
	var held sql.Null[string]
	err := l.read.QueryRowContext(ctx, profileSQL, l.id, model).Scan(&profile, &held)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, nil
	}
	var p *insights.Profile
	var h *insights.Holdout
	if err == nil {
		err = errors.Join(json.Unmarshal([]byte(profile), &p), decodeOptional(held, &h))
	}
	return p, h, failed("profile", err)
}

// NewestProfile returns the newest profile, and the model that it is of; nil if there
// is none.
func (l *Line) NewestProfile(ctx context.Context) (model string, p *insights.Profile, err error) {
	var profile string
	err = l.read.QueryRowContext(ctx, newestProfileSQL, l.id).Scan(&model, &profile)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(profile), &p)
	}
	return model, p, failed("profile", err)
}
