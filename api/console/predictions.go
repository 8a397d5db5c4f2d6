package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"

	"github.com/go-chi/chi/v5"
)

// Ledger finds recorded predictions. Package store has it.
type Ledger interface {
	// Search returns a page of predictions, the newest first, with one query by an index.
	Search(ctx context.Context, q predict.Search) (predict.Found, error)
	// Prediction returns one prediction; kind NotFound if there is none.
	Prediction(ctx context.Context, id string) (predict.Full, error)
}

// maxLooked bounds the predictions that are looked at for those of one model. It is about
// as many as one reads in the time of a page.
const maxLooked = 10_000

// predictionsPage is what the search for predictions shows.
type predictionsPage struct {
	ID, Customer, Model, From, To string // as the form has them
	Found                         predict.Found
	Next                          string // query of the next page; empty: there is none
	Later                         bool   // it is not the first page
	First                         string // query of the first page
	MaxLooked                     int
	Tail                          string // URL of the stream of what comes, relative to the page; empty: the page is of the past
	Paused                        bool   // the rows that come wait
}

func (c *Console) predictions(r *http.Request) (*page, error) {
	form := r.URL.Query()
	text := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	data := &predictionsPage{ID: text("id"), Customer: text("customer"), Model: text("model"), From: text("from"), To: text("to"), MaxLooked: maxLooked}
	data.Paused = text("live") == "off"
	p := &page{name: "predictions", title: "Predictions", data: data}
	if data.ID != "" {
		full, err := c.d.Ledger.Prediction(r.Context(), data.ID)
		if err != nil {
			return nil, err
		}
		data.Found.Predictions = []predict.Recorded{full.Recorded}
		return p, nil
	}
	q, err := searchOf(data, text("before"))
	if err != nil {
		return nil, err
	}
	if data.Found, err = c.d.Ledger.Search(r.Context(), q); err != nil {
		return nil, err
	}
	data.Later, data.First = q.Before.ID != "", data.query(predict.Place{})
	if !data.Later && data.To == "" {
		data.Tail = data.tail()
	}
	if data.Found.Next.ID != "" {
		data.Next = data.query(data.Found.Next)
	}
	return p, nil
}

// searchOf reads the form of a search. Fields that cannot be read are violations.
func searchOf(p *predictionsPage, before string) (predict.Search, error) {
	q := predict.Search{CustomerID: p.Customer, Model: p.Model, Limit: pageSize, MaxLooked: maxLooked}
	var violations []failure.Violation
	refuse := func(field, detail string) {
		violations = append(violations, failure.Violation{Field: field, Code: failure.CodeFormat, Detail: detail})
	}
	var ok bool
	if q.From, ok = timeField(p.From); !ok {
		refuse("from", "must be a date, or a date and a time, such as 2026-11-29 or 2026-11-29T10:00, in UTC")
	}
	if q.To, ok = timeField(p.To); !ok {
		refuse("to", "must be a date, or a date and a time, such as 2026-11-29 or 2026-11-29T10:00, in UTC")
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		refuse("from", "must be before to")
	}
	if q.Before, ok = placeOf(before); !ok {
		refuse("before", "must be from the link of a page")
	}
	if len(violations) > 0 {
		return q, &failure.Error{Kind: failure.Invalid, Detail: "the search has fields that cannot be read", Violations: violations}
	}
	return q, nil
}

// timeField reads a date, or a date and a time, in UTC. Empty text is the zero time.
func timeField(text string) (at time.Time, ok bool) {
	if text == "" {
		return at, true
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return at.UTC(), true
		}
	}
	return at, false
}

// placeOf reads what placeText writes.
func placeOf(text string) (p predict.Place, ok bool) {
	if text == "" {
		return p, true
	}
	at, id, ok := strings.Cut(text, ".")
	micros, err := strconv.ParseInt(at, 10, 64)
	return predict.Place{At: time.UnixMicro(micros).UTC(), ID: id}, ok && err == nil && id != ""
}

// query returns the query of a page of the search, with its question mark.
func (p *predictionsPage) query(before predict.Place) string {
	q := url.Values{}
	for name, value := range map[string]string{"customer": p.Customer, "model": p.Model, "from": p.From, "to": p.To, "live": p.live()} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if before.ID != "" {
		q.Set("before", placeText(before))
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// live is the parameter that keeps the page paused.
func (p *predictionsPage) live() string {
	if p.Paused {
		return "off"
	}
	return ""
}

// placeText is a place as placeOf reads it.
func placeText(p predict.Place) string { return fmt.Sprintf("%d.%s", p.At.UnixMicro(), p.ID) }

// tail returns the URL of the stream of the predictions that come after those of the page.
func (p *predictionsPage) tail() string {
	q := url.Values{}
	for name, value := range map[string]string{"customer": p.Customer, "model": p.Model, "from": p.From} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(p.Found.Predictions) > 0 {
		q.Set("after", p.Found.Predictions[0].ID)
	}
	return "tail?" + q.Encode()
}

// reportOutcome reports what happened after a prediction.
func (c *Console) reportOutcome() action {
	label := func(r *http.Request) (int, error) {
		switch r.PostForm.Get("outcome") {
		case "0":
			return 0, nil
		case "1":
			return 1, nil
		}
		return 0, &failure.Error{Kind: failure.Invalid, Detail: "the outcome cannot be reported",
			Violations: []failure.Violation{{Field: "outcome", Code: failure.CodeFormat, Detail: "choose what happened"}}}
	}
	return action{
		ask: func(r *http.Request) (*question, error) {
			y, err := label(r)
			if err != nil {
				return nil, err
			}
			id := chi.URLParam(r, "id")
			return &question{Title: "Report the outcome of " + short(id), Button: "Report it", Back: "predictions/" + id,
				Effect: "It is recorded as observed now. It becomes the label of the customer, from which the next renewal learns.",
				Facts:  []fact{{c.d.Predict.Schema().Label.Name, c.spelling(y)}}}, nil
		},
		do: func(r *http.Request) (string, error) {
			y, err := label(r)
			if err != nil {
				return "", err
			}
			id := chi.URLParam(r, "id")
			matches, err := c.d.Predict.RecordOutcomes(r.Context(), []predict.Outcome{{PredictionID: id, Label: y}})
			if err != nil {
				return "", err
			}
			if !matches[0].Found {
				return "", failure.Errorf(failure.NotFound, "there is no prediction %q", id)
			}
			return changed(r, "predictions/", id), nil
		},
	}
}

// spelling is a class of the label, with the text that the schema has for it.
func (c *Console) spelling(y int) string {
	label := c.d.Predict.Schema().Label
	class := label.Negative
	if y == 1 {
		class = label.Positive
	}
	for _, s := range class {
		if s.IsText {
			return fmt.Sprintf("%d (%s)", y, s.Value)
		}
	}
	return strconv.Itoa(y)
}
