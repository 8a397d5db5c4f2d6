package api_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gateway/internal/insights"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// seePage fails if a page of the console is not well-formed, or has what its content
// security policy forbids, an id twice, a label of nothing, or a link to elsewhere.
func seePage(a answer) answer {
	a.t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(a.body, "<!doctype html>")))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	ids, labels := map[string]int{}, []string{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			a.t.Fatalf("the page is not well-formed: %v\n%s", err, a.body)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		hasSource := false
		for _, attribute := range element.Attr {
			switch name := attribute.Name.Local; {
			case name == "id":
				ids[attribute.Value]++
			case name == "for":
				labels = append(labels, attribute.Value)
			case name == "src":
				hasSource = true
			case name == "style" || strings.HasPrefix(name, "on"):
				a.t.Errorf("an element %s has an attribute %s", element.Name.Local, name)
			case (name == "href" || name == "action") && (strings.Contains(attribute.Value, "//") || strings.HasPrefix(attribute.Value, "/")):
				a.t.Errorf("an element %s leads to %s", element.Name.Local, attribute.Value)
			}
		}
		if name := element.Name.Local; name == "style" || name == "script" && !hasSource {
			a.t.Errorf("the page has an element %s", name)
		}
	}
	for id, n := range ids {
		if n > 1 {
			a.t.Errorf("id %s is there %d times", id, n)
		}
	}
	for _, id := range labels {
		if ids[id] == 0 {
			a.t.Errorf("a label is of %s, which is not there", id)
		}
	}
	return a
}

// lacks fails if a page has one of the texts.
func (a answer) lacks(texts ...string) answer {
	a.t.Helper()
	for _, text := range texts {
		if strings.Contains(a.body, text) {
			a.t.Errorf("the page has %q:\n%s", text, a.body)
		}
	}
	return a
}

// withInsights gives model m1 a profile, held-out rows, and 400 predictions of an hour ago
// of which half are positive.
func withInsights(t *testing.T, b *bundle) {
	t.Helper()
	s := b.deps.Predict.Schema()
	p := insights.NewProfiler(s)
	row := s.NewRecord()
	for i := range s.Features {
		if s.Features[i].Type == schema.Category {
			s.SetText(row, i, s.Features[i].Values[0])
		} else if v := s.SetText(row, i, "30"); v != nil {
			t.Fatal(v)
		}
	}
	vector := s.Encode(row)
	for i := range 300 {
		if err := p.Add(insights.Row{Train: true, CSV: schema.AppendTrainingCSV(nil, i%2, vector)}); err != nil {
			t.Fatal(err)
		}
	}
	profile := p.Profile(s.Fingerprint())
	scores, labels := make([]float64, 300), make([]float64, 300)
	for i := range scores {
		scores[i], labels[i] = float64(i)/300, float64(i*7/1300)
	}
	b.sums.Newest = "m1"
	b.sums.Profiles = map[string]*insights.Profile{"m1": profile}
	b.sums.Holdouts = map[string]*insights.Holdout{"m1": insights.NewHoldout(s, &profile.Bins, slices.Repeat([]schema.Vector{vector}, 300), scores, labels, .5)}
	for i := range 400 {
		x := &predict.Prediction{Model: "m1", CreatedAt: time.Now().Add(-time.Hour), Score: scores[i%300], Label: i % 2,
			Bins: []byte(strings.Repeat("4", len(profile.Bins.Features)))}
		b.sums.Predict(x)
		b.sums.Report(insights.Outcome{Prediction: x, Label: i / 200, Received: time.Now()})
	}
}

func TestQualityPage(t *testing.T) {
	b := setup(t)
	v := operator(t, b)
	seePage(v.get("quality").want(200)).contains("There are no predictions in this time", `<option value="30d" selected>`)
	withInsights(t, b)
	page := seePage(v.get("quality").want(200)).contains("Quality of m1", `aria-current="page"`, "400 rows", "AUC over time", "<dt>Mature</dt><dd>400</dd>",
		`id="series-title"`, `id="calibration-title"`, `id="histogram-title"`, `id="roc-title"`, `id="precision-title"`, `id="gain-title"`, "estimated",
		"where the threshold of the schema has costs")
	if n := strings.Count(page.body, "<details id="); n < 6 {
		t.Errorf("%d charts have a table, want 6", n)
	}
	page.lacks("There is no")
	seePage(v.get("quality?range=7d&figure=recall&bucket=hour&model=m1&from=&to=").want(200)).contains("recall over time", `<option value="7d" selected>`,
		`<option value="hour" selected>`, `<option value="recall" selected>`, `href="quality?bucket=hour&amp;figure=recall&amp;range=7d">All models</a>`)
	today := time.Now().UTC().Format(time.DateOnly)
	seePage(v.get("quality?from="+today+"&to="+today).want(200)).contains("Predictions of "+today+" 00:00", `value="`+today+`"`)
	seePage(v.get("quality?from=2020-01-01&to=2020-01-02").want(200)).contains("There are no predictions in this time")
	seePage(v.get("quality?model=m0").want(200)).contains("A figure needs 30 mature outcomes with 5 of either label")
	v.get("quality?model=nothing").want(404)
	for _, wrong := range []string{"range=2d", "from=yesterday", "to=tomorrow", "from=2026-01-02&to=2026-01-01", "bucket=week", "bucket=hour&range=90d", "figure=luck"} {
		v.get("quality?" + wrong).want(422).contains("a parameter of the query is wrong")
	}
	b.sums.Err = io.ErrUnexpectedEOF
	v.get("quality").want(500)
}

func TestQualityBySegment(t *testing.T) {
	b := setup(t)
	withInsights(t, b)
	v := operator(t, b)
	seePage(v.get("quality").want(200)).contains(`href="quality?segments=yes#segments"`)
	seePage(v.get("quality?segments=yes").want(200)).contains("Rate of positives less mean score", "<th scope=\"row\">age</th>", "p-value")
	one := seePage(v.get("quality?segments=yes&feature=job").want(200)).contains(`<th scope="row">job</th>`, "<option selected>job</option>")
	one.lacks(`<th scope="row">age</th>`)
}

// TestFormsKeepTheView sends the fields of the form of a page as a browser does.
func TestFormsKeepTheView(t *testing.T) {
	b := setup(t)
	withInsights(t, b)
	v := operator(t, b)
	form := url.Values{"model": {""}, "range": {"90d"}, "from": {""}, "to": {""}, "bucket": {""}, "figure": {"log_loss"}}
	seePage(v.get("quality?"+form.Encode()).want(200)).contains("log loss over time", `<option value="90d" selected>`)
}

func TestDriftPage(t *testing.T) {
	b := setup(t)
	v := operator(t, b)
	seePage(v.get("drift").want(200)).contains("No model serves") // the records name none
	now := time.Now().UTC()
	b.swap.models = []modelswap.Model{{Name: "m1", CreatedAt: now, DeployedAt: &now, Schema: b.deps.Predict.Schema().Fingerprint()}, {Name: "m0", CreatedAt: now}}
	seePage(v.get("drift").want(200)).contains("There is no comparison: nothing is kept of the data")
	withInsights(t, b)
	page := seePage(v.get("drift").want(200)).contains("Drift of what m1 is asked", "400 rows, against 300 rows of the training data", "Drift by feature",
		"Nothing has drifted", `<th scope="row"><a href="drift?feature=age">age</a></th>`, `id="features-details"`, `id="series-details"`, `id="bins-details"`, "PSI", "<option>m1</option>")
	page.lacks("There are no figures of drift", "<option>m0</option>")
	for range 400 { // all features are missing
		b.sums.Predict(&predict.Prediction{Model: "m1", CreatedAt: time.Now(), Score: 0.5, Bins: []byte(strings.Repeat("0", 20))})
	}
	seePage(v.get("drift").want(200)).contains("Drifted: the score, age, job", "chart-bar-marked", "<td>50.0 % <span class=\"interval\">0.0 %</span></td>")
	seePage(v.get("drift?feature=score&range=7d").want(200)).contains("Drift of score over time", "<option selected>score</option>", "on held-out rows")
	seePage(v.get("drift?feature=job").want(200)).contains("Shares of rows by value of job", "in the training data")
	seePage(v.get("drift?feature=nothing").want(200))
	seePage(v.get("drift?from=2020-01-01&to=2020-01-02").want(200)).contains("They need 200 rows in the time shown", "there are 0 and 300")
	v.get("drift?model=nothing").want(404)
	v.get("drift?range=2d").want(422)
}
