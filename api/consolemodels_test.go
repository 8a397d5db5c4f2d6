package api_test

import (
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"gateway/internal/learn"
	"gateway/internal/modelswap"
)

// withModels gives the gateway models m1, which serves and has all figures, m0 and older,
// which served, and gone and strange, which cannot serve again.
func withModels(b *bundle) {
	hash, at := b.deps.Predict.Schema().Fingerprint(), time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for i, name := range []string{"m1", "m0", "older", "gone", "strange"} {
		served := at.Add(-time.Duration(i) * time.Hour)
		m := modelswap.Model{Name: name, Renewal: "r1", Algorithm: "xgboost", Schema: hash, Data: "d1", Rows: 3000, CreatedAt: served, DeployedAt: &served,
			Parameters: map[string]string{"eta": "0.1"}, Metrics: &learn.Metrics{Rows: 600, AUC: .9, AUCLow: .88, AUCHigh: .92, LogLoss: .2}}
		switch name {
		case "gone":
			m.RemovedAt = &at
		case "strange":
			m.Schema = "other"
		case "older":
			m.Metrics = nil
		}
		if name != "m1" {
			m.RetiredAt = &at
		}
		b.swap.models = append(b.swap.models, m)
	}
	b.swap.figures = map[string]*modelswap.Figures{"m1": fullFigures}
}

func TestModelsPage(t *testing.T) {
	b := setup(t)
	v := operator(t, b)
	seePage(v.get("models").want(200)).contains("There are no models yet")
	withModels(b)
	page := seePage(v.get("models").want(200)).contains(`<a href="models/m1">m1</a></th><td><span class="state serving">serving</span>`, "removed",
		"<strong>0.9</strong> <span class=\"interval\">0.88 to 0.92, 600 rows</span>", `id="auc-details"`, "Compare two", `aria-current="page">Models`)
	page.lacks("never served", "difference in log loss")
	b.swap.setErr(io.ErrUnexpectedEOF)
	v.get("models").want(500)
}

func TestModelsAreCompared(t *testing.T) {
	b := setup(t)
	withModels(b)
	v := operator(t, b)
	seePage(v.get("models?a=m0&b=m1").want(200)).contains(`<option selected>m0</option>`, `<th scope="col">m0</th><th scope="col">m1</th>`,
		"on held-out rows", "Figures are missing: m0", "The importance cannot be compared")
	b.swap.figures["m0"] = fullFigures
	seePage(v.get("models?a=m0&b=m1").want(200)).contains("Importance for m1 less that for m0", "on the same rows", `id="importance-details"`, "<strong>0.01</strong>")
	v.get("models?a=m0&b=nothing").want(404)
	for _, wrong := range []string{"a=m0", "b=m0", "a=m0&b=m0"} {
		v.get("models?" + wrong).want(422).contains("choose two different models")
	}
}

func TestModelPage(t *testing.T) {
	b := setup(t)
	withModels(b)
	v := operator(t, b)
	page := seePage(v.get("models/m1").want(200)).contains("<h1>Model m1 ", `href="../renewals/r1"`, `href="../quality?model=m1"`, "<strong>0.9</strong> <span class=\"interval\">0.8 to 0.95</span>",
		"Against m0, on the same 9 rows", `id="importance-details"`, `id="alone-details"`, `id="calibration-details"`, `id="coefficients"`, `id="curve"`, "because the lowest log loss",
		"3 are left out", `aria-current="page">Models`, "alone gives it")
	page.lacks("rollback")
	seePage(v.get("models/m0").want(200)).contains("0.9", "No intervals: an earlier version of the gateway made the model", `action="m0/rollback"`)
	seePage(v.get("models/older").want(200)).contains("There are no figures: the model has not been evaluated")
	seePage(v.get("models/gone").want(200)).contains("It cannot be rolled back to: it was removed").lacks("rollback")
	seePage(v.get("models/strange").want(200)).contains("It cannot be rolled back to: it was made for another schema").lacks("rollback")
	v.get("models/nothing").want(404)
}

func TestRollbackInTheConsole(t *testing.T) {
	b := setup(t)
	withModels(b)
	v := operator(t, b)
	v.post("models/m0/rollback", url.Values{"confirmed": {"yes"}}).want(403) // no token of the session
	seePage(v.send("models/m0/rollback", nil).want(200)).contains("<h1>Roll back to the model m0?</h1>", "m1 (AUC 0.9 on its held-out rows)",
		`<input type="hidden" name="confirmed" value="yes">`, "<strong>ops</strong>")
	if b.swap.serving != "m1" {
		t.Fatalf("%s serves before it was confirmed", b.swap.serving)
	}
	if a := v.send("models/m0/rollback", url.Values{"confirmed": {"yes"}}).want(303); a.header.Get("Location") != "../../models/m0" {
		t.Errorf("it leads to %s", a.header.Get("Location"))
	}
	if b.swap.serving != "m0" {
		t.Errorf("%s serves", b.swap.serving)
	}
	v.get("audit").want(200).contains("POST /console/models/{name}/rollback", "<td>m0</td>")
	for name, status := range map[string]int{"m0": 409, "gone": 409, "strange": 409, "nothing": 404} {
		v.send("models/"+name+"/rollback", nil).want(status)
		v.send("models/"+name+"/rollback", url.Values{"confirmed": {"yes"}}).want(status)
	}
	if !strings.Contains(v.get("models/m0").body, "serving") {
		t.Error("the page of the model does not say that it serves")
	}
}
