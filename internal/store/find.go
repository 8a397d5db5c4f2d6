package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

// Operators find predictions page by page. A page is one statement that reads a bounded
// number of rows by an index: the primary key, or that of a customer's predictions.

const (
	foundColumns = `id, coalesce(customer_id, '') AS customer, created_at, coalesce(caller, '') AS caller, score, label, model, outcome, outcome_at`

	placeColumns = `id, created_at`

	lookedByTimeSQL = `
SELECT %s FROM predictions
WHERE line = $1 AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4`

	lookedByCustomerSQL = `
SELECT %s FROM predictions
WHERE line = $1 AND customer_id = $2 AND (created_at, id) < ($3, $4) AND created_at >= $5 ORDER BY created_at DESC, id DESC LIMIT $6`

	// findSQL has the rows that match after one row with the last of those that were looked
	// at, so that the next page can begin there. The rows that match are a subquery that is
	// read once, so that it ends with the last of them, and no engine keeps what was looked at.
	findSQL = `
SELECT e.looked, e.last_at, e.last_id, m.id, m.customer, m.created_at, m.caller, m.score, m.label, m.model, m.outcome, m.outcome_at
FROM (SELECT count(*) AS looked, coalesce(min(created_at), 0) AS last_at, coalesce(min(id), '') AS last_id FROM (%[1]s) places) e
LEFT JOIN (SELECT * FROM (%[2]s) looked WHERE $%[3]d = '' OR model = $%[3]d ORDER BY %[4]s LIMIT $%[5]d) m ON 1 = 1
ORDER BY %[6]s`

	fullSQL = `
SELECT p.id, coalesce(p.customer_id, ''), p.created_at, coalesce(p.caller, ''), p.features, p.personal, p.score, p.label, p.model, p.schema,
    p.latency_us, p.outcome, p.outcome_at, o.label, coalesce(o.prediction_id, ''), coalesce(o.caller, ''), o.observed_at, o.received_at
FROM predictions p LEFT JOIN outcomes o ON o.customer_id = coalesce(p.customer_id, p.id)
WHERE p.id = $1 AND p.line = $2 ORDER BY o.received_at DESC, o.seq DESC LIMIT $3`
)

var (
	findByTimeSQL     = findSQLOf(lookedByTimeSQL, 5, "id DESC", "m.id DESC")
	findByCustomerSQL = findSQLOf(lookedByCustomerSQL, 7, "created_at DESC, id DESC", "m.created_at DESC, m.id DESC")
)

// findSQLOf returns the statement that finds among the predictions that looked has. The model
// has the number of a parameter, and the limit the next.
func findSQLOf(looked string, model int, order, orderOfFound string) string {
	return fmt.Sprintf(findSQL, fmt.Sprintf(looked, placeColumns), fmt.Sprintf(looked, foundColumns), model, order, model+1, orderOfFound)
}

// endOfTime is later than all predictions.
var endOfTime = time.UnixMilli(1<<48 - 1)

// Search returns a page of predictions of the line.
func (l *Line) Search(ctx context.Context, q predict.Search) (predict.Found, error) {
	look := q.Limit + 1 // one more shows whether there is a next page
	if q.Model != "" {
		look = q.MaxLooked
	}
	query, args := findByTimeSQL, l.byTime(q, look)
	if q.CustomerID != "" {
		query, args = findByCustomerSQL, l.byCustomer(q, look)
	}
	rows, err := l.read.QueryContext(ctx, query, append(args, q.Model, q.Limit+1)...)
	if err != nil {
		return predict.Found{}, failed("find predictions", err)
	}
	defer rows.Close()
	var found predict.Found
	var last predict.Place
	for rows.Next() {
		p, err := scanFound(rows, &found.Looked, &last)
		if err != nil {
			return predict.Found{}, failed("find predictions", err)
		}
		if p != nil {
			found.Predictions = append(found.Predictions, *p)
		}
	}
	switch {
	case len(found.Predictions) > q.Limit:
		found.Predictions = found.Predictions[:q.Limit]
		end := &found.Predictions[q.Limit-1]
		found.Next = predict.Place{At: end.CreatedAt, ID: end.ID}
	case q.Model != "" && found.Looked == look:
		found.Next = last
	}
	return found, failed("find predictions", rows.Err())
}

// byTime are the arguments of lookedByTimeSQL. Ids ascend with time.
func (l *Line) byTime(q predict.Search, look int) []any {
	to := failure.IDBefore(endOfTime)
	if !q.To.IsZero() {
		to = failure.IDBefore(q.To)
	}
	if q.Before.ID != "" {
		to = min(to, q.Before.ID)
	}
	from := ""
	if !q.From.IsZero() {
		from = failure.IDBefore(q.From)
	}
	return []any{l.id, to, from, look}
}

// byCustomer are the arguments of lookedByCustomerSQL.
func (l *Line) byCustomer(q predict.Search, look int) []any {
	to, id := micros(endOfTime), ""
	if !q.To.IsZero() {
		to = micros(q.To)
	}
	if before := micros(q.Before.At); q.Before.ID != "" && before < to {
		to, id = before, q.Before.ID
	}
	from := int64(0)
	if !q.From.IsZero() {
		from = micros(q.From)
	}
	return []any{l.id, q.CustomerID, to, id, from, look}
}

// scanFound reads a row of findSQL. The prediction is nil in the only row of a page
// without any.
func scanFound(rows *sql.Rows, looked *int, last *predict.Place) (*predict.Recorded, error) {
	var lastAt int64
	var id, customer, caller, model sql.Null[string]
	var created, label, outcome, outcomeAt sql.Null[int64]
	var score sql.Null[float64]
	err := rows.Scan(looked, &lastAt, &last.ID, &id, &customer, &created, &caller, &score, &label, &model, &outcome, &outcomeAt)
	last.At = fromMicros(lastAt)
	if !id.Valid || err != nil {
		return nil, err
	}
	p := &predict.Recorded{Prediction: predict.Prediction{ID: id.V, CustomerID: customer.V, CreatedAt: fromMicros(created.V), Caller: caller.V,
		Score: score.V, Label: int(label.V), Model: model.V}, Outcome: fromLabel(outcome), OutcomeAt: optionalTime(outcomeAt)}
	return p, nil
}

// Prediction returns a prediction of the line with the outcomes that were reported of its
// customer; kind NotFound if there is none.
func (l *Line) Prediction(ctx context.Context, id string) (full predict.Full, err error) {
	rows, err := l.read.QueryContext(ctx, fullSQL, id, l.id, predict.MaxReported)
	if err != nil {
		return full, failed("prediction", err)
	}
	defer rows.Close()
	found := false
	for rows.Next() {
		found = true
		var created, latency int64
		var outcome, outcomeAt, label, observed, received sql.Null[int64]
		var o predict.Reported
		p := &full.Prediction
		if err := rows.Scan(&p.ID, &p.CustomerID, &created, &p.Caller, &p.Features, &p.Personal, &p.Score, &p.Label, &p.Model, &p.Schema,
			&latency, &outcome, &outcomeAt, &label, &o.PredictionID, &o.Caller, &observed, &received); err != nil {
			return full, failed("prediction", err)
		}
		p.CreatedAt, p.Latency = fromMicros(created), time.Duration(latency)*time.Microsecond
		full.Outcome, full.OutcomeAt = fromLabel(outcome), optionalTime(outcomeAt)
		if label.Valid {
			o.Label, o.ObservedAt, o.ReceivedAt = int(label.V), fromMicros(observed.V), fromMicros(received.V)
			full.Outcomes = append(full.Outcomes, o)
		}
	}
	if err := rows.Err(); err != nil {
		return full, failed("prediction", err)
	}
	if !found {
		return full, failure.Errorf(failure.NotFound, "there is no prediction %q", id)
	}
	return full, nil
}
