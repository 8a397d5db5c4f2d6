package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gateway/api/console/chart"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"

	"github.com/go-chi/chi/v5"
)

// predictionPage is what the page of a prediction shows.
type predictionPage struct {
	predict.Full
	Predicted string // label
	Known     string // label of the outcome; empty: unknown
	Features  []featureRow
	Reasons   *drawing
	Base      *float64
	NoReasons string // why there are none
	Reported  []reportedRow
	Choices   []outcomeChoice
	Label     string // name of the label
}

// featureRow is a feature as the ledger has it.
type featureRow struct{ Name, Value, Note string }

// reportedRow is an outcome that was reported.
type reportedRow struct {
	predict.Reported
	Text string
	// After is the time from the prediction to the outcome, Late that from the outcome to
	// its report. Other says that it was matched to another prediction of the customer.
	After, Late time.Duration
	Other       bool
}

type outcomeChoice struct {
	Value int
	Text  string
}

// lateReport is from when on an outcome counts as reported late.
const lateReport = 24 * time.Hour

// IsLate reports whether the outcome was reported late.
func (o reportedRow) IsLate() bool { return o.Late >= lateReport }

func (c *Console) prediction(r *http.Request) (*page, error) {
	id := chi.URLParam(r, "id")
	full, err := c.d.Ledger.Prediction(r.Context(), id)
	if err != nil {
		return nil, err
	}
	s := c.d.Predict.Schema()
	data := &predictionPage{Full: full, Predicted: c.spelling(full.Prediction.Label), Label: s.Label.Name,
		Choices: []outcomeChoice{{1, c.spelling(1)}, {0, c.spelling(0)}}}
	if full.Outcome != nil {
		data.Known = c.spelling(*full.Outcome)
	}
	for _, o := range full.Outcomes {
		data.Reported = append(data.Reported, reportedRow{o, c.spelling(o.Label), o.ObservedAt.Sub(full.CreatedAt), o.ReceivedAt.Sub(o.ObservedAt),
			o.PredictionID != "" && o.PredictionID != id})
	}
	record, err := s.DecodeStored(full.Features, nil)
	if err != nil {
		data.NoReasons = "the ledger has its features in the form of an earlier schema"
		return &page{name: "prediction", section: "predictions", title: "Prediction " + short(id), data: data}, nil //nolint:nilerr // the page says so
	}
	data.Features = recordedFeatures(s, record)
	c.explainRecorded(r.Context(), data, record)
	return &page{name: "prediction", section: "predictions", title: "Prediction " + short(id), data: data}, nil
}

// recordedFeatures are the features of a record as text.
func recordedFeatures(s *schema.Schema, r schema.Record) []featureRow {
	rows := make([]featureRow, 0, len(s.Features))
	for i := range s.Features {
		f := &s.Features[i]
		row := featureRow{Name: f.Name, Note: f.Description}
		switch {
		case f.Personal:
			row.Value, row.Note = "not in the ledger", "personal"
		case r.Has(i):
			row.Value = valueText(s, r, i)
		default:
			row.Value = "missing"
		}
		if f.Exclude {
			row.Note = "not used by the model"
		}
		rows = append(rows, row)
	}
	return rows
}

// valueText is the value of a feature, without the quotes of JSON.
func valueText(s *schema.Schema, r schema.Record, i int) string {
	if r.Missing(i) {
		return "missing"
	}
	return s.Cell(i, s.AppendValue(nil, r, i))
}

// explainRecorded adds the reasons of a prediction, where the model that made it serves.
// The ledger has no reasons: they are computed from its features.
func (c *Console) explainRecorded(ctx context.Context, data *predictionPage, record schema.Record) {
	s := c.d.Predict.Schema()
	switch {
	case data.Schema != s.Fingerprint():
		data.NoReasons = "it was made for another schema"
		return
	case s.Incomplete(record):
		data.NoReasons = "the ledger has not all of its features: personal ones are left out"
		return
	}
	again, err := c.d.Predict.Try(ctx, predict.Request{Features: record, Explain: schema.ExplainAll})
	switch {
	case err != nil:
		data.NoReasons = reasonOf(err)
	case again.Model != data.Model:
		data.NoReasons = "the model that made it does not serve any more"
	case again.Unexplained != "":
		data.NoReasons = again.Unexplained
	default:
		data.Reasons, data.Base = drawReasons(again.Reasons), again.Base
	}
}

// drawReasons draws contributions as bars.
func drawReasons(reasons []predict.Reason) *drawing {
	bars := chart.Bars{Title: "What moved the score", ValueName: "contribution to the log-odds", Below: "lowers the score", Above: "raises the score"}
	for _, r := range reasons {
		bars.Bars = append(bars.Bars, chart.Bar{Name: r.Feature, Value: r.Contribution})
	}
	return draw("reasons", bars)
}

// reasonOf is what a page says about an error of the model.
func reasonOf(err error) string {
	var known *failure.Error
	if errors.As(err, &known) {
		return known.Detail
	}
	return "the model did not answer"
}
