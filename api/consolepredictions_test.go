package api_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"gateway/api"
	"gateway/internal/failure"
	"gateway/internal/predict"
)

func TestTheConsoleFindsPredictions(t *testing.T) {
	b := setup(t)
	v := operator(t, b)
	v.get("predictions").want(200).contains("There are none.")
	for range 51 {
		b.post("/predict", `{"customer_id":"anna","features":`+technician+`}`).want(200)
	}
	all := b.store.Predictions()
	page := v.get("predictions").want(200).contains(all[50].ID, `href="predictions?customer=anna"`, `rel="next"`)
	if strings.Contains(page.body, all[0].ID) {
		t.Error("the first page has 51 predictions")
	}
	next := page.body[strings.Index(page.body, `href="predictions?before=`)+len(`href="`):]
	next, _, _ = strings.Cut(next, `"`)
	v.get(next).want(200).contains(all[0].ID, `href="predictions">Newest`)
	v.get("predictions?customer=unknown").want(200).contains("There are none.")
	v.get("predictions?customer=anna&model=m1").want(200).contains(all[50].ID)
	v.get("predictions?id=" + all[7].ID).want(200).contains(all[7].ID)
	v.get("predictions?id=nothing").want(404).contains("there is no prediction")
	v.get("predictions?from=yesterday&to=soon&before=x").want(422).contains("<code>from</code>", "<code>to</code>", "<code>before</code>")
	v.get("predictions?from=2026-11-30&to=2026-11-29").want(422).contains("must be before to")
	v.get("predictions?customer=%3Cscript%3E").want(200).contains("&lt;script&gt;")
}

func TestTheConsoleShowsAPredictionAndReportsItsOutcome(t *testing.T) {
	var replaced atomic.Bool // another model serves
	b := setup(t, func(b *bundle, _ *api.Options, p *parts) {
		b.scorer.Weights = make([]float64, p.schema.Width())
		b.scorer.Change = func(s *predict.Scores) {
			if replaced.Load() {
				s.Model = "m2"
			}
		}
	})
	v := operator(t, b)
	b.post("/predict", `{"customer_id":"anna","features":`+technician+`}`).want(200)
	made := b.store.Predictions()[0]
	path := "predictions/" + made.ID
	v.get(path).want(200).contains("What moved the score", "technician", "not known", "None was reported", `name="outcome"`)
	if got := len(b.store.Predictions()); got != 1 {
		t.Fatalf("to show a prediction has recorded %d", got-1)
	}
	v.post(path+"/outcome", url.Values{"outcome": {"1"}}).want(403)
	v.send(path+"/outcome", url.Values{"outcome": {"2"}, "confirmed": {"yes"}}).want(422).contains("choose what happened")
	v.send(path+"/outcome", url.Values{"outcome": {"1"}}).want(200).contains("Report the outcome of")
	v.get(path).want(200).contains("None was reported")
	v.send(path+"/outcome", url.Values{"outcome": {"1"}, "confirmed": {"yes"}}).want(303)
	v.get(path).want(200).contains("1 (yes)", "The one that was observed last counts")
	v.get("audit").want(200).contains("POST /console/predictions/{id}/outcome", made.ID, "outcome=1")
	v.get("predictions/nothing").want(404)
	v.send("predictions/nothing/outcome", url.Values{"outcome": {"1"}, "confirmed": {"yes"}}).want(404)

	replaced.Store(true)
	v.get(path).want(200).contains("the model that made it does not serve any more")
	b.scorer.Fail(failure.Errorf(failure.Unavailable, "no model serves yet"))
	v.get(path).want(200).contains("no model serves yet", "technician")
}

func TestTheConsoleTriesAPrediction(t *testing.T) {
	b := setup(t, func(b *bundle, _ *api.Options, p *parts) { b.scorer.Weights = make([]float64, p.schema.Width()) })
	v := operator(t, b)
	v.get("try").want(200).contains(`name="f.age" type="number" step="1" min="17" max="120"`, `<option>technician</option>`, `step="any"`)
	var features map[string]any
	if err := json.Unmarshal([]byte(technician), &features); err != nil {
		t.Fatal(err)
	}
	form := func(changes ...string) url.Values {
		f := url.Values{"do": {"predict"}}
		for name, value := range features {
			f.Set("f."+name, fmt.Sprint(value))
		}
		for i := 0; i < len(changes); i += 2 {
			f.Set(changes[i], changes[i+1])
		}
		return f
	}
	v.post("try", form()).want(403)
	v.send("try", form("f.age", "340", "f.contact", "pigeon")).want(422).contains("<code>age</code>", "<code>contact</code>", `aria-invalid="true"`)
	v.send("try", form("f.age", "")).want(422).contains("<code>/features/age</code>")
	if got := len(b.store.Predictions()); got != 0 {
		t.Fatalf("%d predictions are recorded before one was asked for", got)
	}
	a := v.send("try", form()).want(200).contains("0.34", "What moved the score", `value="0.34"`, "curl", "$GATEWAY_KEY", "&#34;age&#34;:34", `name="was.age" value="34"`)
	if strings.Contains(a.body, token) {
		t.Error("the page has the token")
	}
	if got := b.store.Predictions(); len(got) != 1 || !strings.Contains(a.body, got[0].ID) {
		t.Fatalf("%d predictions are recorded, want the one of the page", len(got))
	}
	whatIf := form("do", "what-if", "f.age", "44", "score", "0.34")
	for name, value := range features {
		whatIf.Set("was."+name, fmt.Sprint(value))
	}
	a = v.send("try", whatIf).want(200).contains("0.44", "changed by 0.1", "34 → 44", "not recorded")
	if strings.Contains(a.body, "technician → ") || len(b.store.Predictions()) != 1 {
		t.Errorf("what was not changed is named, or the trial is recorded:\n%s", a.body)
	}
	v.get("try?prediction="+b.store.Predictions()[0].ID).want(200).contains(`value="34"`, `<option selected>technician</option>`)
	v.get("try?prediction=nothing").want(404)
	v.send("try", url.Values{"customer": {"unknown"}}).want(404)
}
