package store

// The rules for outcomes.
//
// Matching. An outcome for a prediction belongs to the customer of the prediction.
// An anonymous prediction has a customer of its own, with the id of the prediction.
// An outcome for a customer belongs to that customer and to the newest prediction
// of the line for them, if there is one. If both ids are given, the prediction's
// decides. An outcome matches nothing if the prediction is unknown, or if the
// customer is neither stored nor has a prediction; then it is not recorded.
//
// If the customer of a prediction is not stored, one is made from the prediction's
// features, which have no personal values, so that the next renewal learns from the
// outcome. Its origin is 'app': models are not judged by it.
//
// The label that counts is the one observed last; of two observed at the same time,
// the one received last. It has the sequence number of its outcome, and no import
// replaces it. An outcome that contradicts the stored label and was observed before
// it is recorded and changes nothing else. Its match says that it is superseded, as
// does the match of an outcome that a later one of the same call contradicts.
//
// A stored label may have been observed further ahead of the clock than is allowed:
// earlier versions did not check that, and a gateway's clock may have been wrong. It
// counts as observed when its outcome was received; that of a prediction, when the
// prediction was made.
//
// Duplicates. An outcome is a duplicate if an earlier outcome set the same label, or
// if the same outcome (customer, label and time) is recorded already. It gets no row
// and no sequence number. If it was observed later than the label, the label gets
// that time, so that a contradicting outcome from between does not replace it. The
// same holds for outcomes within one call, which are processed in their order.
//
// The ledger. The prediction that an outcome matched gets its label, also if the
// outcome is a duplicate: two predictions for one customer both get theirs, although
// the customer's label counts once. Of several outcomes for one prediction the one
// observed last counts, as with customers.
//
// The outcomes of a demo customer are removed with it. So every outcome has a stored
// customer, and customers.outcome is the number of the outcome that counts.

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"gateway/internal/failure"
	"gateway/internal/insights"
	"gateway/internal/predict"
)

const (
	// Transactions that number outcomes lock the counter's row first, so that they run
	// one after the other in all processes. So when a number is visible, all smaller
	// ones are: the watermark of a renewal misses none.
	holdSequenceSQL = `UPDATE counters SET value = value WHERE name = 'outcomes' RETURNING value`
	saveSequenceSQL = `UPDATE counters SET value = $1 WHERE name = 'outcomes'`

	predictionSQL = `
SELECT id, coalesce(customer_id, ''), features, model, outcome, outcome_at, created_at, score, label
FROM predictions WHERE id = $1 AND line = $2`

	newestPredictionSQL = `
SELECT id, coalesce(customer_id, ''), features, model, outcome, outcome_at, created_at, score, label
FROM predictions WHERE customer_id = $1 AND line = $2
ORDER BY created_at DESC, id DESC LIMIT 1`

	customerLabelSQL = `SELECT label, coalesce(label_at, 0), outcome, ` + receivedSQL + ` FROM customers WHERE id = $1`

	// receivedSQL is when the outcome that set a customer's label was received.
	receivedSQL = `coalesce((SELECT received_at FROM outcomes WHERE seq = customers.outcome), 0)`

	insertOutcomeSQL = `
INSERT INTO outcomes (seq, customer_id, prediction_id, label, observed_at, received_at, model, caller)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (customer_id, label, observed_at) DO NOTHING`

	// The first outcome keeps the label before it as the imported one.
	setLabelSQL = `
UPDATE customers
SET label = $1, label_at = $2, outcome = $3, caller = $5, labelled_at = $6,
    imported_label = CASE WHEN outcome > 0 THEN imported_label ELSE label END
WHERE id = $4`
	confirmLabelSQL = `UPDATE customers SET label_at = $1 WHERE id = $2`
	joinOutcomeSQL  = `UPDATE predictions SET outcome = $1, outcome_at = $2 WHERE id = $3 RETURNING bins`
)

// outcomesAtOnce is how many outcomes of a list one transaction records.
const outcomesAtOnce = 32

// RecordOutcomes records outcomes by the rules at the top of this file. Match i
// belongs to outcome i. An outcome that matches nothing is no error and writes
// nothing. If a label is neither 0 nor 1, the error is of kind Invalid.
//
// A list is recorded in several transactions. An error may leave its first outcomes
// recorded; when they are sent again, they are duplicates.
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

// markSuperseded marks outcomes whose label a later outcome of the same call
// replaced.
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

// recordOutcomes records the outcomes with the indexes at, in one transaction.
func (l *Line) recordOutcomes(ctx context.Context, w writing, outcomes []predict.Outcome, at []int, matches []predict.Match) error {
	return l.inTurn(ctx, w, func(tx *sql.Tx) error {
		sequence, err := holdSequence(ctx, tx)
		if err != nil {
			return err
		}
		r := outcomeRecorder{tx: tx, line: l.id, now: l.now(), sequence: sequence}
		defer func() { r.counted.free() }()
		for _, i := range at {
			if matches[i], err = r.record(ctx, outcomes[i]); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, saveSequenceSQL, r.sequence); err != nil {
			return err
		}
		return r.counted.write(ctx, tx, l)
	})
}

// holdSequence locks the counter's row until tx ends, and returns the last number
// that was assigned. Transactions that must not run concurrently begin with it.
func holdSequence(ctx context.Context, tx *sql.Tx) (sequence int64, err error) {
	err = tx.QueryRowContext(ctx, holdSequenceSQL).Scan(&sequence)
	return sequence, err
}

// outcomeRecorder records outcomes within one transaction.
type outcomeRecorder struct {
	tx       *sql.Tx
	line     int64
	now      time.Time
	sequence int64 // the last number that was assigned
	counted  counted
}

// joined is a prediction that an outcome matches.
type joined struct {
	id, customer, features, model string
	outcome, outcomeAt            sql.Null[int64]
	createdAt                     int64
	score                         float64
	label                         int
}

// labelled is a customer's stored label.
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

// prediction returns the prediction that the outcome matches, or nil.
func (r *outcomeRecorder) prediction(ctx context.Context, o predict.Outcome) (*joined, error) {
	if o.PredictionID != "" {
		return r.onePrediction(ctx, predictionSQL, o.PredictionID)
	}
	p, err := r.onePrediction(ctx, newestPredictionSQL, o.CustomerID)
	if p != nil || err != nil {
		return p, err
	}
	// The customer of an anonymous prediction has the prediction's id.
	p, err = r.onePrediction(ctx, predictionSQL, o.CustomerID)
	if p != nil && p.customer != "" {
		p = nil
	}
	return p, err
}

func (r *outcomeRecorder) onePrediction(ctx context.Context, query, id string) (*joined, error) {
	var p joined
	err := r.tx.QueryRowContext(ctx, query, id, r.line).
		Scan(&p.id, &p.customer, &p.features, &p.model, &p.outcome, &p.outcomeAt, &p.createdAt, &p.score, &p.label)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	p.outcomeAt.V = plausible(p.outcomeAt.V, p.createdAt, r.now)
	return &p, err
}

// customer returns the label of the customer. If the customer is not stored, it is
// made from the prediction; without a prediction the result is nil.
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

// plausible is the time at which a stored outcome counts as observed: at, or, if that
// is too far ahead of now, the earlier of came and now.
func plausible(at, came int64, now time.Time) int64 {
	if at <= micros(now.Add(predict.MaxObservedAhead)) {
		return at
	}
	return min(came, micros(now))
}

// count records the outcome unless it is a duplicate, sets the customer's label if
// the outcome counts, and returns the completed match.
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

// join sets the outcome of a prediction, unless it has one that was observed later.
// Of two observed at the same time the one received last counts; a duplicate does
// not count as received again.
func (r *outcomeRecorder) join(ctx context.Context, p *joined, y, at int64, isNew bool) error {
	if p.outcome.Valid && (at < p.outcomeAt.V || at == p.outcomeAt.V && !isNew) {
		return nil
	}
	var bins sql.Null[string]
	err := r.tx.QueryRowContext(ctx, joinOutcomeSQL, y, at, p.id).Scan(&bins)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil // it was removed meanwhile, because of its age
	case err != nil || !bins.Valid: // one that is not counted yet is counted with its outcome
		return err
	case p.outcome.Valid && p.outcome.V == y:
		return nil
	}
	x := insights.Outcome{Label: int(y), Former: fromLabel(p.outcome), Received: r.now, Prediction: &predict.Prediction{
		Model: p.model, CreatedAt: fromMicros(p.createdAt), Score: p.score, Label: p.label, Bins: []byte(bins.V)}}
	r.counted.of(x.Prediction).CountOutcome(x)
	return nil
}
