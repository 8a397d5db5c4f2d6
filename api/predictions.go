package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"

	"github.com/go-json-experiment/json/jsontext"
)

// PredictionRequest is the body of POST /predict, and an instance of a batch.
type PredictionRequest struct {
	CustomerID string         `json:"customer_id,omitzero"`
	Features   map[string]any `json:"features,omitzero"`
	Explain    schema.Explain `json:"explain,omitzero"`
}

// Prediction is the response to a PredictionRequest.
type Prediction struct {
	PredictionID   string           `json:"prediction_id"`
	Score          float64          `json:"score"`
	PredictedLabel int              `json:"predicted_label"`
	Model          string           `json:"model"`
	Schema         string           `json:"schema"`
	Base           *float64         `json:"base,omitzero"`
	Reasons        []predict.Reason `json:"reasons,omitzero"`
	// Unexplained is the header ExplainUnavailable of a single prediction: why it has
	// no reasons although they were asked for. Only Client.Predict sets it.
	Unexplained string `json:"-"`
}

// BatchItem is a Prediction or an Error. End marks the last line of a stream that ended
// early: the rows after it were not answered.
type BatchItem struct {
	Prediction
	Error *edge.Problem `json:"error,omitzero"`
	End   bool          `json:"end,omitzero"`
}

func (a *api) predict(w http.ResponseWriter, r *http.Request) error {
	doc, _, err := a.readJSON(w, r, false)
	if err != nil {
		return err
	}
	defer a.documents.release(doc)
	req, err := a.request(doc)
	if err != nil {
		return err
	}
	ctx, cancel, err := edge.WithTimeout(r, a.o.PredictTimeout)
	if err != nil {
		return err
	}
	defer cancel()
	q := edge.Of(r.Context())
	a.d.Predict.ObserveRead(q.Start)
	req.ID = predictionID(q)
	q.Call.CallID = req.ID
	p, err := a.d.Predict.Predict(ctx, req)
	if err != nil {
		return err
	}
	q.Rows, q.Model = 1, p.Model
	unexplained(w, &p)
	doc.answer = append(appendPrediction(doc.answer[:0], &p), '\n')
	edge.Write(w, http.StatusOK, edge.JSON, doc.answer)
	return nil
}

// predictionID returns the id of a single prediction: the one that belongs to the
// request's Idempotency-Key, else the request's id if the gateway generated it, else a
// new one.
func predictionID(q *edge.Request) string {
	switch {
	case q.Subject != "":
		return q.Subject
	case q.GeneratedID:
		return q.ID
	}
	return failure.NewID()
}

// request reads a document that is one request. The fast path reads the usual forms; for
// all others the strict decoder reads it again, and returns the errors.
func (a *api) request(doc *document) (predict.Request, error) {
	s := a.d.Predict.Schema()
	in := schema.Input{Features: doc.record(s)}
	if s.Scan(doc.text.Bytes(), &in) {
		return requestOf(in), nil
	}
	req, err := a.instance(doc, doc.record(s))
	if err == nil {
		err = doc.end()
	}
	if violations := doc.take(); err == nil && violations.Count() > 0 {
		err = a.d.Predict.Violated(violations)
	}
	return req, err
}

func requestOf(in schema.Input) predict.Request {
	return predict.Request{CustomerID: in.CustomerID, Features: in.Features, Explain: in.Explain}
}

// record is an empty record of the schema, there being one schema.
func (d *document) record(schema *schema.Schema) schema.Record {
	if d.features.IsZero() {
		d.features = schema.NewRecord()
	}
	d.features.Reset()
	return d.features
}

func (a *api) predictBatch(w http.ResponseWriter, r *http.Request) error {
	given, err := edge.MediaType(r, edge.JSON, csvType, ndjsonType)
	if err != nil {
		return err
	}
	if given != edge.JSON {
		return a.predictStream(w, r, given)
	}
	doc, _, err := a.readJSON(w, r, false)
	if err != nil {
		return err
	}
	defer a.documents.release(doc)
	reqs, results, err := a.instances(r, doc)
	if err != nil {
		return err
	}
	ctx, cancel, err := edge.WithTimeout(r, a.o.PredictTimeout)
	if err != nil {
		return err
	}
	defer cancel()
	a.d.Predict.ObserveRead(edge.Of(r.Context()).Start)
	a.answer(ctx, reqs, results)
	return a.writeBatch(w, r, results)
}

// answer makes the predictions for the requests without an error in one call.
func (a *api) answer(ctx context.Context, reqs []predict.Request, results []predict.Result) {
	good := make([]predict.Request, 0, len(reqs))
	at := make([]int, 0, len(reqs))
	for i := range reqs {
		if results[i].Err == nil {
			good, at = append(good, reqs[i]), append(at, i)
		}
	}
	if len(good) == 0 {
		return
	}
	for k, result := range a.d.Predict.PredictBatch(ctx, good) {
		results[at[k]] = result
	}
}

// writeBatch answers 200 if any instance has a prediction. If none has, it answers 422, or
// returns the first error that is not the caller's fault.
func (a *api) writeBatch(w http.ResponseWriter, r *http.Request, results []predict.Result) error {
	q := edge.Of(r.Context())
	q.Rows = len(results)
	failed, room := 0, failure.MaxViolations
	var fault error // the first that is not the caller's
	body := append(make([]byte, 0, 256*len(results)), `{"predictions":[`...)
	for i := range results {
		if i > 0 {
			body = append(body, ',')
		}
		if err := results[i].Err; err != nil {
			failed++
			if fault == nil && !callersFault(err) {
				fault = err
			}
			body = appendItemError(body, r.Context(), err, &room)
			continue
		}
		q.Model = results[i].Prediction.Model
		unexplained(w, &results[i].Prediction)
		body = appendPrediction(body, &results[i].Prediction)
	}
	status := http.StatusOK
	if failed == len(results) {
		if fault != nil {
			return fault
		}
		status = http.StatusUnprocessableEntity
	}
	body = strconv.AppendInt(append(body, `],"failed":`...), int64(failed), 10)
	edge.Write(w, status, edge.JSON, append(body, '}', '\n'))
	return nil
}

// callersFault reports whether the request is the cause of an error.
func callersFault(err error) bool {
	var e *failure.Error
	return errors.As(err, &e) && (e.Kind == failure.Invalid || e.Kind == failure.NotFound)
}

// appendItemError appends {"error": problem}. The items of a list share room for a number
// of violations; further ones are counted and not listed.
func appendItemError(dst []byte, ctx context.Context, err error, room *int) []byte {
	p := edge.ProblemOf(ctx, err)
	if surplus := len(p.Errors) - *room; surplus > 0 {
		p.Errors = p.Errors[:*room]
		p.ErrorsOmitted += surplus
	}
	*room -= len(p.Errors)
	return append(p.Append(append(dst, `{"error":`...)), '}')
}

// instances reads {"instances": [...]}, by the fast path or by the strict decoder as
// request does. Result i belongs to request i. It has the error of an instance that breaks
// the schema.
func (a *api) instances(r *http.Request, doc *document) (reqs []predict.Request, results []predict.Result, err error) {
	rows := maxInstances(doc.text.Bytes(), a.o.MaxItems)
	if err := a.holdRows(r, &doc.text, rows, a.rowCost); err != nil {
		return nil, nil, err
	}
	if inputs, ok := a.d.Predict.Schema().ScanInstances(doc.text.Bytes(), a.o.MaxItems); ok {
		reqs = make([]predict.Request, len(inputs))
		for i, in := range inputs {
			reqs[i] = requestOf(in)
		}
		return reqs, make([]predict.Result, len(reqs)), nil
	}
	return a.decodeInstances(r, doc)
}

func (a *api) decodeInstances(r *http.Request, doc *document) (reqs []predict.Request, results []predict.Result, err error) {
	given := false
	err = doc.object("body", func(name string) error {
		if name != "instances" {
			return doc.unknown(pointer("", name), "instances")
		}
		given = true
		outer := doc.take()
		defer func() { doc.violations.PutBack(outer) }()
		return doc.array("instances", a.o.MaxItems, func(i int) error {
			if err := a.holdRow(r, &doc.text, i, a.rowCost); err != nil {
				return err
			}
			req, err := a.instance(doc, a.d.Predict.Schema().NewRecord())
			var result predict.Result
			if violations := doc.take(); violations.Count() > 0 {
				result.Err = a.d.Predict.Violated(violations)
			}
			reqs, results = append(reqs, req), append(results, result)
			return err
		})
	})
	if err == nil {
		err = doc.end()
	}
	if err != nil {
		return nil, nil, err
	}
	violations := doc.take()
	switch {
	case violations.Count() > 0:
	case !given:
		violations.Add(failure.Violation{Field: "instances", Code: failure.CodeMissing, Detail: "is required"})
	case len(reqs) == 0:
		violations.Add(failure.Violation{Field: "instances", Code: failure.CodeRange, Detail: "must not be empty"})
	default:
		return reqs, results, nil
	}
	return nil, nil, a.d.Predict.Violated(violations)
}

// instance reads one request into an empty record. Fields of violations begin at the
// instance. Features may also be members of the instance itself, as in files:
// {"customer_id": …, "age": 34, …}.
func (a *api) instance(doc *document, features schema.Record) (predict.Request, error) {
	schema := a.d.Predict.Schema()
	req := predict.Request{Features: features}
	before := doc.violations.Count()
	stored, flat := false, false
	err := doc.object("body", func(name string) (err error) {
		switch name {
		case "customer_id":
			stored = true
			req.CustomerID, err = doc.customerID(name)
		case "explain":
			req.Explain, err = doc.explain(name)
		case "features":
			if err = schema.DecodeFeatures(features, doc.dec, "/features/", &doc.violations); err != nil {
				return doc.broken(err)
			}
		default:
			if schema.Feature(name) < 0 && !flat {
				return doc.unknown(pointer("", name), "customer_id", "features", "explain")
			}
			value, err := doc.dec.ReadValue()
			if err != nil {
				return doc.broken(err)
			}
			flat = true
			if v := schema.SetMember(features, name, value); v != nil {
				doc.violations.Add(*v)
			}
		}
		return err
	})
	if doc.violations.Count() > before && !stored && !features.IsEmpty() {
		schema.AddMissing(&doc.violations, features, "/features/")
	}
	return req, err
}

func (d *document) customerID(at string) (string, error) {
	before := d.violations.Count()
	id, err := d.str(at)
	if err != nil || d.violations.Count() > before {
		return "", err
	}
	if v := schema.CheckCustomerID(at, id); v != nil {
		d.violations.Add(*v)
	}
	return id, nil
}

// ExplainUnavailable is the header with the reason why a response has "reasons": null.
// It has one reason, also if predictions have several.
const ExplainUnavailable = "Explain-Unavailable"

// maxHeaderReason is the maximum length of the value of ExplainUnavailable.
const maxHeaderReason = 300

// unexplained sets the header ExplainUnavailable if a prediction lacks the reasons that
// were asked for and the header is not set yet.
func unexplained(w http.ResponseWriter, p *predict.Prediction) {
	h := w.Header()
	if p.Unexplained == "" || h.Get(ExplainUnavailable) != "" {
		return
	}
	visible := func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}
	text := strings.Map(visible, p.Unexplained)
	h.Set(ExplainUnavailable, text[:min(len(text), maxHeaderReason)])
}

// appendPrediction appends a prediction as JSON. It does not use reflection, because every
// request takes this path.
func appendPrediction(dst []byte, p *predict.Prediction) []byte {
	dst = appendString(append(dst, `{"prediction_id":`...), p.ID)
	dst = strconv.AppendFloat(append(dst, `,"score":`...), p.Score, 'g', -1, 64)
	dst = strconv.AppendInt(append(dst, `,"predicted_label":`...), int64(p.Label), 10)
	dst = appendString(append(dst, `,"model":`...), p.Model)
	dst = appendString(append(dst, `,"schema":`...), p.Schema)
	if p.Base != nil {
		dst = strconv.AppendFloat(append(dst, `,"base":`...), *p.Base, 'g', -1, 64)
	}
	switch {
	case p.Unexplained != "":
		dst = append(dst, `,"reasons":null`...)
	case p.Reasons != nil:
		dst = append(dst, `,"reasons":[`...)
		for i, reason := range p.Reasons {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(append(dst, `{"feature":`...), reason.Feature)
			dst = strconv.AppendFloat(append(dst, `,"contribution":`...), reason.Contribution, 'g', -1, 64)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendString(dst []byte, text string) []byte {
	for i := range len(text) {
		if b := text[i]; b < ' ' || b > '~' || b == '"' || b == '\\' {
			return appendQuoted(dst, text)
		}
	}
	return append(append(append(dst, '"'), text...), '"')
}

func appendQuoted(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text) // what is not UTF-8 becomes U+FFFD
	return dst
}
