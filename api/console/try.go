package console

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"

	"github.com/go-chi/chi/v5"
)

// Prefixes and names of the fields of the form that tries a prediction.
const (
	valuePrefix   = "f."    // the value of a feature
	missingPrefix = "m."    // "yes": the value is missing
	formerPrefix  = "was."  // the value before, to show what was changed
	formerScore   = "score" // the score before
)

// tryPage is what the form shows.
type tryPage struct {
	Customer string
	Fields   []tryField
	Problems []failure.Violation
	Answer   *tryAnswer
}

// tryField is the field of a feature.
type tryField struct {
	Name, Field, Value, Problem string
	Type                        string // of the input: number, date, or select
	Step                        string
	Min, Max, Hint              string
	Choices                     []string // of a select
	Empty                       string   // what an empty field means
	MayMiss, Missing            bool
}

// tryAnswer is a prediction with what has changed since the one before.
type tryAnswer struct {
	predict.Prediction
	Text     string // label
	Recorded bool
	Reasons  *drawing
	Change   *float64 // of the score
	Changed  []fact   // features whose values were changed
	Curl     string
}

// try adds the form that asks for a prediction. It is no action: a prediction changes
// nothing but the ledger, and one that asks "what if" not even that.
func (c *Console) try(r chi.Router) {
	c.page(r, "/try", func(r *http.Request) (*page, error) {
		form, err := c.recordedForm(r)
		if err != nil {
			return nil, err
		}
		return showTry(c.tryPage(form, nil)), nil
	})
	r.Method(http.MethodPost, "/try", c.handler(func(w http.ResponseWriter, r *http.Request) error {
		if err := checkForm(r); err != nil {
			return err
		}
		reading, done, err := c.read(r)
		if err != nil {
			return err
		}
		p, status, err := c.ask(reading)
		done()
		if err != nil {
			return err
		}
		return c.render(w, r, status, p)
	}))
}

func showTry(data *tryPage) *page { return &page{name: "try", title: "Try a prediction", data: data} }

func (c *Console) tryPage(form url.Values, problems []failure.Violation) *tryPage {
	return &tryPage{Customer: strings.TrimSpace(form.Get("customer")), Fields: c.tryFields(form, problems), Problems: problems}
}

// recordedForm fills the form with the features of a recorded prediction, if the query names one.
func (c *Console) recordedForm(r *http.Request) (url.Values, error) {
	form := url.Values{}
	id := r.URL.Query().Get("prediction")
	if id == "" {
		return form, nil
	}
	full, err := c.d.Ledger.Prediction(r.Context(), id)
	if err != nil {
		return nil, err
	}
	s := c.d.Predict.Schema()
	record, err := s.DecodeStored(full.Features, nil)
	if err != nil {
		return form, nil //nolint:nilerr // the features are of an earlier schema, and the form stays empty
	}
	form.Set("customer", full.CustomerID)
	for i := range s.Features {
		f := &s.Features[i]
		switch {
		case record.Has(i) && !record.Missing(i):
			form.Set(valuePrefix+f.Name, schema.CellText(s.AppendValue(nil, record, i)))
		case record.Has(i) && f.Missing:
			form.Set(missingPrefix+f.Name, "yes")
		}
	}
	return form, nil
}

// ask predicts what a form asks for, and returns the form with the answer or with its
// problems.
func (c *Console) ask(r *http.Request) (p *page, status int, err error) {
	form := r.PostForm
	req, violations := c.requestOf(form)
	if len(violations) == 0 {
		curl := c.curl(req.CustomerID, req.Features)
		answer, err := c.predict(r, req)
		var known *failure.Error
		switch {
		case err == nil:
			data := c.tryPage(form, nil)
			data.Answer = c.answerOf(answer, form, curl)
			return showTry(data), http.StatusOK, nil
		case !errors.As(err, &known) || known.Kind != failure.Invalid:
			return nil, 0, err
		}
		violations = known.Violations
	}
	return showTry(c.tryPage(form, violations)), http.StatusUnprocessableEntity, nil
}

// predict asks for a prediction, recorded unless the form asks "what if".
func (c *Console) predict(r *http.Request, req predict.Request) (predict.Prediction, error) {
	if r.PostForm.Get("do") == "what-if" {
		return c.d.Predict.Try(r.Context(), req)
	}
	return c.d.Predict.Predict(r.Context(), req)
}

// requestOf reads the features of a form.
func (c *Console) requestOf(form url.Values) (predict.Request, []failure.Violation) {
	s := c.d.Predict.Schema()
	record := s.NewRecord()
	var violations []failure.Violation
	for i := range s.Features {
		f := &s.Features[i]
		text := strings.TrimSpace(form.Get(valuePrefix + f.Name))
		switch {
		case form.Get(missingPrefix+f.Name) == "yes":
			s.SetNull(record, i)
		case text != "":
			if v := s.SetNumber(record, i, text); v != nil {
				violations = append(violations, *v)
			}
		}
	}
	return predict.Request{CustomerID: strings.TrimSpace(form.Get("customer")), Features: record, Explain: schema.ExplainAll}, violations
}

// tryFields are the fields of all features.
func (c *Console) tryFields(form url.Values, problems []failure.Violation) []tryField {
	s := c.d.Predict.Schema()
	fields := make([]tryField, len(s.Features))
	for i := range s.Features {
		f := &s.Features[i]
		field := tryField{Name: f.Name, Field: valuePrefix + f.Name, Value: strings.TrimSpace(form.Get(valuePrefix + f.Name)), Hint: f.Description,
			MayMiss: f.Missing, Missing: form.Get(missingPrefix+f.Name) == "yes"}
		switch f.Type {
		case schema.Category:
			field.Type, field.Choices = "select", f.Values
		case schema.Date:
			field.Type = "date"
		default:
			field.Type, field.Step = "number", "any"
			if f.Type == schema.Integer {
				field.Step = "1"
			}
		}
		field.Min, field.Max = bound(s, i, f.Min), bound(s, i, f.Max)
		field.Empty = emptyMeans(s, i)
		for _, v := range problems {
			if failure.LastName(v.Field) == f.Name {
				field.Problem = v.Detail
			}
		}
		fields[i] = field
	}
	return fields
}

// bound is a bound of a feature as its field shows it.
func bound(s *schema.Schema, i int, value *float64) string {
	if value == nil || s.Features[i].Type == schema.Category {
		return ""
	}
	return s.Features[i].Text(*value)
}

// emptyMeans says what an empty field stands for.
func emptyMeans(s *schema.Schema, i int) string {
	switch f := &s.Features[i]; {
	case f.Default != nil:
		return f.Text(*f.Default) + " where the customer has no value"
	case f.Missing:
		return "missing where the customer has no value"
	}
	return "the customer's value"
}

// answerOf is what the form shows of a prediction.
func (c *Console) answerOf(p predict.Prediction, form url.Values, curl string) *tryAnswer {
	a := &tryAnswer{Prediction: p, Text: c.spelling(p.Label), Recorded: form.Get("do") != "what-if", Curl: curl}
	if p.Unexplained == "" {
		a.Reasons = drawReasons(p.Reasons)
	}
	if before, err := strconv.ParseFloat(form.Get(formerScore), 64); err == nil && !math.IsNaN(before) {
		change := p.Score - before
		a.Change = &change
		s := c.d.Predict.Schema()
		for i := range s.Features {
			name := s.Features[i].Name
			if was, is := form.Get(formerPrefix+name), strings.TrimSpace(form.Get(valuePrefix+name)); was != is {
				a.Changed = append(a.Changed, fact{name, orEmpty(was) + " → " + orEmpty(is)})
			}
		}
	}
	return a
}

func orEmpty(text string) string {
	if text == "" {
		return "empty"
	}
	return text
}

// curl is the command that asks an app's route for the same. It names the key and has none.
func (c *Console) curl(customer string, record schema.Record) string {
	var members []string
	if customer != "" {
		members = append(members, `"customer_id": `+quoted(customer))
	}
	if !record.IsEmpty() {
		members = append(members, `"features": `+string(c.d.Predict.Schema().AppendFeatures(nil, record, true)))
	}
	body := "{" + strings.Join(append(members, `"explain": true`), ", ") + "}"
	return fmt.Sprintf("curl \"$GATEWAY_URL/predict\" -H 'Content-Type: application/json' \\\n  -H \"Authorization: Bearer $GATEWAY_KEY\" \\\n  -d '%s'",
		strings.ReplaceAll(body, "'", `'\''`))
}

// quoted is a text as JSON.
func quoted(text string) string {
	out, _ := indented(text) // a string always has a JSON form
	return out
}
