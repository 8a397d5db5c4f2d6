package store

// The rules for outcomes.
//
// Whose it is. An outcome for a prediction belongs to the prediction's
// customer. An anonymous prediction is its own customer: one whose id is the
// prediction's. An outcome for a customer belongs to that customer and to its
// newest prediction, if it has one. Where both are given, the prediction
// decides. What is neither a known prediction nor a customer who is stored or
// has been predicted for matches nothing, and nothing is kept of it.
//
// A customer is made where there is none, not as a demo, from the prediction's
// features, so that the next renewal learns from the outcome. The features of
// a prediction have no personal values, and so neither has such a customer. Its
// origin says so, for models are not judged by it.
//
// Which label counts: the one observed last; of two observed at the same
// moment, the one received last. It carries the sequence number of its outcome,
// and no import overrides it. One that arrives late, observed before the label
// that is known and contradicting it, is recorded and changes nothing. Its match
// says that it is superseded, as does the match of one that a later outcome of
// the same call contradicts.
//
// A label that was observed further ahead of the clock than an outcome may be,
// stored before that was checked or by a gateway whose clock was wrong, counts as
// observed when its outcome was received; of a prediction, when it was made.
//
// Once only. An outcome that says what is known, because the customer's label
// came from an outcome and is the same, or because the very same outcome
// (customer, label and time) was recorded before, is a duplicate: no row, no
// sequence number. One that confirms the label at a later time still moves the
// time at which the label was observed, or else a contradiction from between
// the two would win over it. The same holds for outcomes within one call, which
// are taken in their order.
//
// The ledger. The prediction that an outcome matched, duplicate or not, learns
// its label: two predictions for one customer both have their result, although
// the customer's label counted once. If several outcomes reach one prediction,
// the one observed last stays, as with customers.
//
// A demo customer that is removed takes its outcomes along. So there are
// outcomes only of customers who are stored, and customers.outcome is the row
// that counts.

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

const (
	// Taking the counter's row first makes transactions that number outcomes
	// follow each other even where several processes write. With SQLite there
	// is one writer anyway. So a number, once seen, means that all smaller
	// ones can be seen: the watermark of a renewal misses none.
	holdSequenceSQL = `UPDATE counters SET value = value WHERE name = 'outcomes' RETURNING value`
	saveSequenceSQL = `UPDATE counters SET value = $1 WHERE name = 'outcomes'`

	predictionSQL = `
SELECT id, coalesce(customer_id, ''), features, model, outcome, outcome_at, created_at
FROM predictions WHERE id = $1 AND line = $2`

	newestPredictionSQL = `
SELECT id, coalesce(customer_id, ''), features, model, outcome, outcome_at, created_at
FROM predictions WHERE customer_id = $1 AND line = $2
ORDER BY created_at DESC, id DESC LIMIT 1`

	customerLabelSQL = `SELECT label, coalesce(label_at, 0), outcome, ` + receivedSQL + ` FROM customers WHERE id = $1`

	// receivedSQL is when the outcome that set a customer's label was received.
	receivedSQL = `coalesce((SELECT received_at FROM outcomes WHERE seq = customers.outcome), 0)`

	insertOutcomeSQL = `
INSERT INTO outcomes (seq, customer_id, prediction_id, label, observed_at, received_at, model, caller)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (customer_id, label, observed_at) DO NOTHING`

	// The first outcome moves the imported label aside.
	setLabelSQL = `
UPDATE customers
SET label = $1, label_at = $2, outcome = $3, caller = $5, labelled_at = $6,
    imported_label = CASE WHEN outcome > 0 THEN imported_label ELSE label END
WHERE id = $4`
	confirmLabelSQL = `UPDATE customers SET label_at = $1 WHERE id = $2`
	joinOutcomeSQL  = `UPDATE predictions SET outcome = $1, outcome_at = $2 WHERE id = $3`
)

// outcomesAtOnce is how many outcomes of a list one transaction records.
const outcomesAtOnce = 32

// RecordOutcomes records outcomes, each by the rules that head this file. Match
// i belongs to outcome i; one that matches nothing is no error and writes
// nothing. A label that is neither 0 nor 1 fails the call with kind Invalid.
//
// A list is recorded in several transactions. An error may leave its first
// outcomes recorded; sent again, they count once.
func (l *Line) RecordOutcomes(ctx context.Context, outcomes []predict.Outcome) ([]predict.Match, error) {
	if len(outcomes) == 0 {
		return nil, nil
	}
	for i := range outcomes {
		if y := outcomes[i].Label; y != 0 && y != 1 {
			return nil, failure.Errorf(failure.Invalid, "an outcome must be 0 or 1")
		}
	}
	may, err := l.mayMatch(ctx, outcomes)
	if err != nil {
		return nil, failed("look up outcomes", err)
	}
	matches := make([]predict.Match, len(outcomes))
	for start := 0; start < len(may); start += outcomesAtOnce {
		end := min(start+outcomesAtOnce, len(may))
		w := writing{operation: "record outcomes", class: classOf(len(outcomes), lists), unflushed: end < len(may)}
		if err := l.recordOutcomes(ctx, w, outcomes, may[start:end], matches); err != nil {
			return nil, err
		}
	}
	markSuperseded(outcomes, matches)
	return matches, nil
}

// markSuperseded marks the outcomes that set a label which a later one of the
// same call replaced.
func markSuperseded(outcomes []predict.Outcome, matches []predict.Match) {
	labels := make(map[string]int) // after the call, by customer
	for i := len(matches) - 1; i >= 0; i-- {
		m := &matches[i]
		if !m.Found || m.Superseded {
			continue
		}
		if label, ok := labels[m.CustomerID]; !ok {
			labels[m.CustomerID] = outcomes[i].Label
		} else {
			m.Superseded = label != outcomes[i].Label
		}
	}
}

// recordOutcomes records those outcomes whose indexes are given, in one
// transaction.
func (l *Line) recordOutcomes(ctx context.Context, w writing, outcomes []predict.Outcome, at []int, matches []predict.Match) error {
	return l.inTurn(ctx, w, func(tx *sql.Tx) error {
		sequence, err := holdSequence(ctx, tx)
		if err != nil {
			return err
		}
		r := outcomeRecorder{tx: tx, line: l.id, now: l.now(), sequence: sequence}
		for _, i := range at {
			if matches[i], err = r.record(ctx, outcomes[i]); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, saveSequenceSQL, r.sequence)
		return err
	})
}

// holdSequence takes the counter's row until tx ends and returns the last
// number given out. Transactions that must follow each other begin with it.
func holdSequence(ctx context.Context, tx *sql.Tx) (sequence int64, err error) {
	err = tx.QueryRowContext(ctx, holdSequenceSQL).Scan(&sequence)
	return sequence, err
}

// outcomeRecorder records outcomes within one transaction.
type outcomeRecorder struct {
	tx       *sql.Tx
	line     int64
	now      time.Time
	sequence int64 // the last number given out
}

// joined is a prediction that an outcome matched.
type joined struct {
	id, customer, features, model string
	outcome, outcomeAt            sql.Null[int64]
	createdAt                     int64
}

// labelled is what is known of a customer's label.
type labelled struct {
	label       sql.Null[int64]
	at, outcome int64
}

func (r *outcomeRecorder) record(ctx context.Context, o predict.Outcome) (predict.Match, error) {
	p, err := r.prediction(ctx, o)
	if err != nil {
		return predict.Match{}, err
	}
	customer := o.CustomerID
	switch {
	case p != nil && p.customer == "":
		customer = p.id
	case p != nil:
		customer = p.customer
	case o.PredictionID != "":
		return predict.Match{}, nil
	}
	known, err := r.customer(ctx, customer, p)
	if known == nil || err != nil {
		return predict.Match{}, err
	}
	match := predict.Match{Found: true, CustomerID: customer}
	if p != nil {
		match.PredictionID, match.Model = p.id, p.model
	}
	at := o.ObservedAt
	if at.IsZero() {
		at = r.now
	}
	match, err = r.count(ctx, match, int64(o.Label), micros(at), cmp.Or(o.Caller, predict.AnonymousCaller), *known)
	if err != nil {
		return predict.Match{}, err
	}
	if p != nil {
		err = r.join(ctx, p, int64(o.Label), micros(at), !match.Duplicate)
	}
	return match, err
}

// prediction finds the prediction that the outcome is for, or nil.
func (r *outcomeRecorder) prediction(ctx context.Context, o predict.Outcome) (*joined, error) {
	if o.PredictionID != "" {
		return r.onePrediction(ctx, predictionSQL, o.PredictionID)
	}
	p, err := r.onePrediction(ctx, newestPredictionSQL, o.CustomerID)
	if p != nil || err != nil {
		return p, err
	}
	// The id may be the one that an anonymous prediction's customer goes by.
	p, err = r.onePrediction(ctx, predictionSQL, o.CustomerID)
	if p != nil && p.customer != "" {
		p = nil
	}
	return p, err
}

func (r *outcomeRecorder) onePrediction(ctx context.Context, query, id string) (*joined, error) {
	var p joined
	err := r.tx.QueryRowContext(ctx, query, id, r.line).
		Scan(&p.id, &p.customer, &p.features, &p.model, &p.outcome, &p.outcomeAt, &p.createdAt)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	p.outcomeAt.V = plausible(p.outcomeAt.V, p.createdAt, r.now)
	return &p, err
}

// customer finds what is known of the customer, after making it from the
// prediction where there is none, or nil if there is no prediction either.
func (r *outcomeRecorder) customer(ctx context.Context, id string, p *joined) (*labelled, error) {
	var known labelled
	var received int64
	err := r.tx.QueryRowContext(ctx, customerLabelSQL, id).Scan(&known.label, &known.at, &known.outcome, &received)
	if !errors.Is(err, sql.ErrNoRows) {
		known.at = plausible(known.at, received, r.now)
		return &known, err
	}
	if p == nil {
		return nil, nil
	}
	_, err = r.tx.ExecContext(ctx, makeCustomerSQL, id, p.features)
	return &labelled{}, err
}

// plausible is when a stored outcome counts as observed: at, unless that is too
// far ahead of now; then when it came, and at the latest now.
func plausible(at, came int64, now time.Time) int64 {
	if at <= micros(now.Add(predict.MaxObservedAhead)) {
		return at
	}
	return min(came, micros(now))
}

// count records the outcome unless it is a duplicate, sets the customer's label
// if it is the one that counts, and returns the match completed by that.
func (r *outcomeRecorder) count(ctx context.Context, m predict.Match, y, at int64, caller string, known labelled) (predict.Match, error) {
	if known.outcome > 0 && known.label.V == y {
		m.Duplicate = true
		if at <= known.at {
			return m, nil
		}
		_, err := r.tx.ExecContext(ctx, confirmLabelSQL, at, m.CustomerID)
		return m, err
	}
	result, err := r.tx.ExecContext(ctx, insertOutcomeSQL, r.sequence+1, m.CustomerID, textOrNull(m.PredictionID),
		y, at, micros(r.now), m.Model, caller)
	if err != nil {
		return m, err
	}
	n, err := result.RowsAffected()
	if err != nil {
		return m, err
	}
	if n == 0 {
		m.Duplicate, m.Superseded = true, true
		return m, nil
	}
	r.sequence++
	if known.outcome > 0 && at < known.at {
		m.Superseded = true
		return m, nil
	}
	_, err = r.tx.ExecContext(ctx, setLabelSQL, y, at, r.sequence, m.CustomerID, caller, micros(r.now))
	return m, err
}

// join gives the prediction its outcome, unless it has one that was observed
// later. Of two observed at the same moment the one received last stays, where
// a repeated one was not received last.
func (r *outcomeRecorder) join(ctx context.Context, p *joined, y, at int64, isNew bool) error {
	if p.outcome.Valid && (at < p.outcomeAt.V || at == p.outcomeAt.V && !isNew) {
		return nil
	}
	_, err := r.tx.ExecContext(ctx, joinOutcomeSQL, y, at, p.id)
	return err
}
