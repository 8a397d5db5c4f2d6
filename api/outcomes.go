package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/predict"
)

// Outcome is the body of POST /outcomes: what a customer did. It has one of PredictionID
// and CustomerID. Outcome is the label in the spelling of the schema.
type Outcome struct {
	PredictionID string     `json:"prediction_id,omitzero"`
	CustomerID   string     `json:"customer_id,omitzero"`
	Outcome      any        `json:"outcome"`
	ObservedAt   *time.Time `json:"observed_at,omitzero"`
}

// Match is the prediction and the customer that an outcome belongs to. PredictionID and
// Model are nil if there is no prediction of the customer.
type Match struct {
	PredictionID *string       `json:"prediction_id"`
	CustomerID   string        `json:"customer_id"`
	Model        *string       `json:"model"`
	Duplicate    bool          `json:"duplicate,omitzero"`
	Superseded   bool          `json:"superseded,omitzero"`
	Error        *edge.Problem `json:"error,omitzero"` // in lists only
}

// outcomes records one outcome, or a list of them. A single outcome is answered with 202,
// 404 or 422. A list of at least one is answered with 202: each item of the response is a
// match or a problem.
func (a *api) outcomes(w http.ResponseWriter, r *http.Request) error {
	doc, _, err := a.readJSON(w, r, false)
	if err != nil {
		return err
	}
	defer a.documents.release(doc)
	batch, err := a.outcomeBatch(r, doc)
	if err != nil {
		return err
	}
	if !batch.list && batch.items[0].err != nil {
		return batch.items[0].err
	}
	if err := a.recordOutcomes(r, batch.items); err != nil {
		return err
	}
	q := edge.Of(r.Context())
	q.Rows = len(batch.items)
	status := http.StatusAccepted
	if !batch.list {
		item := &batch.items[0]
		if item.err != nil {
			return item.err
		}
		edge.Write(w, status, edge.JSON, append(appendMatch(nil, item.match), '\n'))
		return nil
	}
	failed, room := 0, failure.MaxViolations
	body := []byte(`{"outcomes":[`)
	for i := range batch.items {
		if i > 0 {
			body = append(body, ',')
		}
		if err := batch.items[i].err; err != nil {
			failed++
			body = appendItemError(body, r.Context(), err, &room)
			continue
		}
		body = appendMatch(body, batch.items[i].match)
	}
	body = strconv.AppendInt(append(body, `],"failed":`...), int64(failed), 10)
	edge.Write(w, status, edge.JSON, append(body, '}', '\n'))
	return nil
}

// outcomeItem is an outcome of a request. It has an err, or after recordOutcomes a match.
type outcomeItem struct {
	outcome predict.Outcome
	match   predict.Match
	err     error
}

type outcomeBatch struct {
	items []outcomeItem
	list  bool
}

// recordOutcomes records the outcomes without an error in one call.
func (a *api) recordOutcomes(r *http.Request, items []outcomeItem) error {
	var good []predict.Outcome
	var at []int
	for i := range items {
		if items[i].err == nil {
			good, at = append(good, items[i].outcome), append(at, i)
		}
	}
	if len(good) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	matches, err := a.d.Predict.RecordOutcomes(ctx, good)
	if err != nil {
		return err
	}
	for k, m := range matches {
		item := &items[at[k]]
		item.match = m
		switch {
		case m.Found:
		case item.outcome.PredictionID != "":
			item.err = failure.Errorf(failure.NotFound, "no prediction has this prediction_id")
		default:
			item.err = failure.Errorf(failure.NotFound, "no customer has this customer_id")
		}
	}
	return nil
}

// outcomeBatch reads the body. It is a single outcome or a list. Only its members show
// which, so both forms are read at once.
func (a *api) outcomeBatch(r *http.Request, doc *document) (outcomeBatch, error) {
	var (
		batch  outcomeBatch
		single outcomeReader
		alone  []string // members that belong to the single form
	)
	if err := a.holdRows(r, &doc.text, maxObjects(doc.text.Bytes(), a.o.MaxItems), outcomeCost); err != nil {
		return batch, err
	}
	single.init(a, doc, "")
	err := doc.object("body", func(name string) error {
		if name != "outcomes" {
			if isOutcomeMember(name) {
				alone = append(alone, name)
			}
			return single.member(name, "outcomes")
		}
		batch.list = true
		outer := doc.take()
		defer func() { doc.violations.PutBack(outer) }()
		return doc.array("outcomes", a.o.MaxItems, func(i int) error {
			if err := a.holdRow(r, &doc.text, i, outcomeCost); err != nil {
				return err
			}
			var one outcomeReader
			one.init(a, doc, "/outcomes/"+strconv.Itoa(i))
			if err := doc.object(one.prefix, func(name string) error { return one.member(name) }); err != nil {
				return err
			}
			batch.items = append(batch.items, one.item())
			return nil
		})
	})
	if err == nil {
		err = doc.end()
	}
	if err != nil {
		return batch, err
	}
	if !batch.list {
		if !single.object {
			return batch, a.d.Predict.Violated(doc.take())
		}
		batch.items = []outcomeItem{single.item()}
		return batch, nil
	}
	violations := doc.take()
	for _, name := range alone {
		violations.Add(failure.Violation{Field: name, Code: failure.CodeUnknown, Detail: "does not go with outcomes"})
	}
	if violations.Count() == 0 && len(batch.items) == 0 {
		violations.Add(failure.Violation{Field: "outcomes", Code: failure.CodeRange, Detail: "must not be empty"})
	}
	if violations.Count() > 0 {
		return batch, a.d.Predict.Violated(violations)
	}
	return batch, nil
}

func isOutcomeMember(name string) bool {
	return name == "prediction_id" || name == "customer_id" || name == "outcome" || name == "observed_at"
}

// outcomeReader reads the members of one outcome.
type outcomeReader struct {
	a      *api
	doc    *document
	prefix string // JSON Pointer to the outcome
	object bool   // it is an object
	out    predict.Outcome
	seen   map[string]bool
}

func (o *outcomeReader) init(a *api, doc *document, prefix string) {
	*o = outcomeReader{a: a, doc: doc, prefix: prefix, object: doc.dec.PeekKind() == '{', seen: make(map[string]bool)}
}

func (o *outcomeReader) member(name string, more ...string) (err error) {
	at, doc := pointer(o.prefix, name), o.doc
	o.seen[name] = true
	switch name {
	case "prediction_id", "customer_id":
		var id string
		if id, err = doc.customerID(at); name == "customer_id" {
			o.out.CustomerID = id
		} else {
			o.out.PredictionID = id
		}
	case "outcome":
		value, err := doc.dec.ReadValue()
		if err != nil {
			return doc.broken(err)
		}
		label, v := o.a.d.Predict.Schema().Label.FromJSON(at, value)
		if v != nil {
			doc.violations.Add(*v)
		}
		o.out.Label = label
	case "observed_at":
		if o.out.ObservedAt, err = doc.time(at); time.Until(o.out.ObservedAt) > predict.MaxObservedAhead {
			doc.violate(at, failure.CodeRange, "must not be more than 5 minutes ahead of the gateway's clock")
		}
	default:
		err = doc.unknown(at, append([]string{"prediction_id", "customer_id", "outcome", "observed_at"}, more...)...)
	}
	return err
}

// item checks which members the outcome has, and takes its violations from the document.
func (o *outcomeReader) item() outcomeItem {
	doc := o.doc
	if o.object {
		p, c := o.seen["prediction_id"], o.seen["customer_id"]
		switch {
		case p && c:
			doc.violate(pointer(o.prefix, "customer_id"), failure.CodeDuplicate, "give prediction_id or customer_id, not both")
		case !p && !c:
			doc.violate(pointer(o.prefix, "prediction_id"), failure.CodeMissing, "give prediction_id or customer_id")
		}
		if !o.seen["outcome"] {
			doc.violate(pointer(o.prefix, "outcome"), failure.CodeMissing, "is required")
		}
	}
	if violations := doc.take(); violations.Count() > 0 {
		return outcomeItem{err: o.a.d.Predict.Violated(violations)}
	}
	return outcomeItem{outcome: o.out}
}

// time reads a time in RFC 3339.
func (d *document) time(at string) (time.Time, error) {
	before := d.violations.Count()
	text, err := d.str(at)
	if err != nil || d.violations.Count() > before {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Year() < 1 || t.Year() > 9999 {
		d.violate(at, failure.CodeFormat, "must be a time such as 2026-11-23T10:00:00Z")
		return time.Time{}, nil //nolint:nilerr // the error is noted as a violation, and reading goes on
	}
	return t.UTC(), nil
}

func appendMatch(dst []byte, m predict.Match) []byte {
	dst = appendOptional(append(dst, `{"prediction_id":`...), m.PredictionID)
	dst = appendString(append(dst, `,"customer_id":`...), m.CustomerID)
	dst = appendOptional(append(dst, `,"model":`...), m.Model)
	if m.Duplicate {
		dst = append(dst, `,"duplicate":true`...)
	}
	if m.Superseded {
		dst = append(dst, `,"superseded":true`...)
	}
	return append(dst, '}')
}

func appendOptional(dst []byte, text string) []byte {
	if text == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, text)
}
