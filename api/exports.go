package api

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Exports reads what operators may export, a page at a time.
type Exports interface {
	// CustomersAfter returns at most limit customers whose ids come after an id, in an
	// order that does not change. Empty: from the first one.
	CustomersAfter(ctx context.Context, after string, limit int) ([]predict.Customer, error)
	// PredictionsAfter does the same for predictions, whose ids ascend with time.
	PredictionsAfter(ctx context.Context, after string, limit int) ([]predict.Recorded, error)
}

const (
	// maxExports bounds the exports at the same time; one token may have half of them.
	maxExports = 8
	// exportPage is how many rows are read and held at once.
	exportPage = 200
)

// export is the response of an export. A caller has the time idle to read each piece of
// copyBuffer bytes. Until the first piece is sent, an error can become a problem.
type export struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	idle  time.Duration
	csv   *csv.Writer  // writes to the export
	text  bytes.Buffer // written and not sent yet
	begun bool
}

// exporting calls run with an empty response of the content type. It refuses if there are
// maxExports exports.
func (a *api) exporting(w http.ResponseWriter, r *http.Request, contentType string, run func(*export) error) error {
	caller := a.edge.ChargedTo(r)
	if err := a.exports.Take(caller, 1); err != nil {
		return edge.TooMany(err, "exports")
	}
	defer a.exports.Give(caller, 1)
	x := &export{w: w, rc: http.NewResponseController(w), idle: a.o.StreamIdle}
	x.csv = csv.NewWriter(x)
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("Trailer", EndTrailer)
	h.Set("X-Accel-Buffering", "no")
	h.Set("Connection", "close") // the deadlines set below must not remain for a next request
	if r.Method == http.MethodHead {
		return nil
	}
	// The server goes on reading, to notice when the caller leaves. Its deadline for reading
	// the request would look like that.
	_ = x.rc.SetReadDeadline(time.Time{})
	x.extendDeadline()
	err := run(x)
	if err == nil {
		err = x.flush()
	}
	switch {
	case err != nil && !x.begun:
		for _, name := range []string{"Content-Type", "Cache-Control", "Trailer", "X-Accel-Buffering"} {
			h.Del(name)
		}
		return err
	case err != nil: // the closed connection tells the caller that the response is incomplete
		edge.Of(r.Context()).Failed(edge.ProblemOf(r.Context(), err), err)
		panic(http.ErrAbortHandler)
	}
	h.Set(EndTrailer, Complete)
	return nil
}

// Write queues text. It sends when there are copyBuffer bytes.
func (x *export) Write(text []byte) (int, error) {
	n, _ := x.text.Write(text)
	if x.text.Len() < copyBuffer {
		return n, nil
	}
	return n, x.send()
}

// flush sends all that was written, as CSV or as text.
func (x *export) flush() error {
	x.csv.Flush()
	if err := x.csv.Error(); err != nil {
		return err
	}
	return x.send()
}

func (x *export) send() error {
	if !x.begun {
		x.begun = true
		x.w.WriteHeader(http.StatusOK) // an export without rows has its trailer after the headers too
	}
	for x.text.Len() > 0 {
		_ = x.rc.SetWriteDeadline(time.Now().Add(x.idle))
		_, err := x.w.Write(x.text.Next(copyBuffer))
		if err == nil {
			err = x.rc.Flush()
		}
		if err != nil {
			return &edge.Refusal{Reason: edge.CallerGone, Detail: "the answer could not be delivered", Err: err}
		}
	}
	_ = x.rc.SetWriteDeadline(time.Now().Add(x.idle))
	return nil
}

// extendDeadline restarts the time to send. It is called for each page that was read,
// because a page may contain no row to send.
func (x *export) extendDeadline() { _ = x.rc.SetWriteDeadline(time.Now().Add(x.idle)) }

// exportFormat returns the media type that the parameter format names.
func exportFormat(r *http.Request, fallback string) (string, error) {
	switch given := r.URL.Query().Get("format"); given {
	case "":
		return fallback, nil
	case "csv":
		return csvType, nil
	case "ndjson":
		return ndjsonType, nil
	}
	return "", invalidQuery("format", "must be csv or ndjson")
}

// exportQuery returns the part of the query that exports read, for the audit log.
func exportQuery(r *http.Request) string {
	given, kept := r.URL.Query(), url.Values{}
	for _, name := range []string{"format", "from", "to", "holdout"} {
		if text := given.Get(name); text != "" {
			kept.Set(name, text)
		}
	}
	return kept.Encode()
}

// exportCustomers sends all customers, in a form that POST /admin/customers accepts.
func (a *api) exportCustomers(w http.ResponseWriter, r *http.Request) error {
	format, err := exportFormat(r, csvType)
	if err != nil {
		return err
	}
	return a.exporting(w, r, format, func(x *export) error {
		schema, after := a.d.Predict.Schema(), ""
		for {
			ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
			page, err := a.d.Exports.CustomersAfter(ctx, after, exportPage)
			cancel()
			if err != nil {
				return err
			}
			if after == "" && format == csvType {
				if err := x.csv.Write(customerColumns(schema)); err != nil {
					return err
				}
			}
			if len(page) == 0 {
				return nil
			}
			x.extendDeadline()
			for i := range page {
				if err := x.customer(schema, format, &page[i]); err != nil {
					return err
				}
			}
			after = page[len(page)-1].ID
			edge.Of(r.Context()).Rows += len(page)
		}
	})
}

func customerColumns(s *schema.Schema) []string {
	columns := []string{s.ID}
	for i := range s.Features {
		columns = append(columns, s.Features[i].Name)
	}
	return append(columns, s.Label.Name)
}

// customer writes a customer as POST /admin/customers accepts it. Cells are not made safe
// for spreadsheets, because an import must get the values that are stored.
func (x *export) customer(s *schema.Schema, format string, c *predict.Customer) error {
	values, err := s.StoredValues(c.Features)
	if err != nil {
		return err
	}
	if format == csvType {
		cells := append(make([]string, 0, len(values)+2), c.ID)
		for i, v := range values {
			cells = append(cells, s.Cell(i, v))
		}
		label := ""
		if c.Label != nil {
			label = s.Label.Spell(*c.Label).Value
		}
		return x.csv.Write(append(cells, label))
	}
	line := appendString(append(appendString([]byte(`{`), s.ID), ':'), c.ID)
	line = append(line, `,"features":{`...)
	before := len(line)
	for i, v := range values {
		if v == nil {
			continue
		}
		if len(line) > before {
			line = append(line, ',')
		}
		line = append(append(appendString(line, s.Features[i].Name), ':'), v...)
	}
	line = append(line, '}')
	if c.Label != nil {
		line = append(appendString(append(line, ','), s.Label.Name), ':')
		if label := s.Label.Spell(*c.Label); label.IsText {
			line = appendString(line, label.Value)
		} else {
			line = append(line, label.Value...)
		}
	}
	_, err = x.Write(append(line, '}', '\n'))
	return err
}

// LedgerRow is a row of the response to GET /admin/predictions.
type LedgerRow struct {
	PredictionID   string         `json:"prediction_id"`
	CustomerID     string         `json:"customer_id,omitzero"`
	CreatedAt      time.Time      `json:"created_at"`
	Caller         string         `json:"caller,omitzero"`
	Score          float64        `json:"score"`
	PredictedLabel int            `json:"predicted_label"`
	Model          string         `json:"model"`
	Schema         string         `json:"schema"`
	LatencyUS      int64          `json:"latency_us"`
	Outcome        *int           `json:"outcome,omitzero"` // 0 or 1
	ObservedAt     *time.Time     `json:"observed_at,omitzero"`
	Features       jsontext.Value `json:"features"`                    // without personal features
	Personal       jsontext.Value `json:"personal_features,omitempty"` // hashes of the personal features
}

var ledgerColumns = []string{"prediction_id", "customer_id", "created_at", "caller", "score", "predicted_label", "model", "schema",
	"latency_us", "outcome", "observed_at", "features", "personal_features"}

// exportPredictions sends the predictions of the ledger that were made from one time to
// another, oldest first.
func (a *api) exportPredictions(w http.ResponseWriter, r *http.Request) error {
	format, err := exportFormat(r, ndjsonType)
	if err != nil {
		return err
	}
	from, err := queryTime(r, "from")
	if err != nil {
		return err
	}
	to, err := queryTime(r, "to")
	if err != nil {
		return err
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return invalidQuery("to", "must be later than from")
	}
	return a.exporting(w, r, format, func(x *export) error {
		after, begin := a.firstID(from), true
		for {
			ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
			page, err := a.d.Exports.PredictionsAfter(ctx, after, exportPage)
			cancel()
			if err != nil {
				return err
			}
			if begin && format == csvType {
				if err := x.csv.Write(ledgerColumns); err != nil {
					return err
				}
			}
			begin = false
			x.extendDeadline()
			for i := range page {
				p := &page[i]
				after = p.ID
				if p.CreatedAt.Before(from) || (!to.IsZero() && !p.CreatedAt.Before(to)) {
					continue
				}
				if err := x.prediction(p, format); err != nil {
					return err
				}
				edge.Of(r.Context()).Rows++
			}
			if len(page) < exportPage || madeAfter(after, to) {
				return nil
			}
		}
	})
}

// clockSlack is the maximum difference between the clocks of two gateways.
const clockSlack = time.Minute

// firstID returns an id that comes before the ids of all predictions made from a time on.
// An id is generated when an Idempotency-Key is first used, and may be used as long as the
// key is stored.
func (a *api) firstID(from time.Time) string {
	if from.IsZero() {
		return ""
	}
	return failure.IDBefore(from.Add(-a.d.KeysKept - clockSlack))
}

// madeAfter reports whether an id was generated after a time, so that no prediction made
// before that time has a higher id. It is false for the zero time.
func madeAfter(id string, to time.Time) bool {
	made, ok := failure.IDTime(id)
	return ok && !to.IsZero() && made.After(to.Add(clockSlack))
}

func (x *export) prediction(p *predict.Recorded, format string) error {
	row := LedgerRow{PredictionID: p.ID, CustomerID: p.CustomerID, CreatedAt: p.CreatedAt, Caller: p.Caller, Score: p.Score,
		PredictedLabel: p.Label, Model: p.Model, Schema: p.Schema, LatencyUS: p.Latency.Microseconds(),
		Outcome: p.Outcome, ObservedAt: p.OutcomeAt, Features: p.Features, Personal: p.Personal}
	line, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("cannot encode prediction %s: %w", p.ID, err)
	}
	if format == ndjsonType {
		_, err := x.Write(append(line, '\n'))
		return err
	}
	var cells map[string]jsontext.Value
	if err := json.Unmarshal(line, &cells); err != nil {
		return err
	}
	texts := make([]string, len(ledgerColumns))
	for i, name := range ledgerColumns {
		texts[i] = schema.CellText(cells[name])
	}
	return x.csv.Write(schema.SafeCells(texts))
}

// queryTime reads a time of the query; the zero time if it is missing.
func queryTime(r *http.Request, name string) (time.Time, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, invalidQuery(name, "must be a time such as 2026-11-23T10:00:00Z")
	}
	return t, nil
}
