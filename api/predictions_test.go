package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gateway/api"
	"gateway/internal/callctx"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// with returns the technician with one member changed, added or, for an empty
// value, taken out.
func with(name, value string) string {
	before, after, found := strings.Cut(technician, `"`+name+`":`)
	if !found {
		return technician[:len(technician)-1] + `,"` + name + `":` + value + `}`
	}
	_, after, _ = strings.Cut(after, ",")
	if value == "" {
		return before + after
	}
	return before + `"` + name + `":` + value + "," + after
}

func TestPredict(t *testing.T) {
	b := setup(t)
	b.scorer.Weights = make([]float64, b.deps.Predict.Schema().Width())
	b.scorer.Weights[0] = 2
	if _, _, err := b.store.PutCustomers(t.Context(), []predict.Customer{{ID: "10042", Features: []byte(technician)}}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, body string
		score      float64
		reasons    bool
	}{
		{"features alone", `{"features":` + technician + `}`, .34, false},
		{"a stored customer", `{"customer_id":"10042"}`, .34, false},
		{"the request's features win over the stored ones", `{"customer_id":"10042","features":{"age":50}}`, .5, false},
		{"space around the value", " \n{\"customer_id\" : \"10042\"}\n ", .34, false},
		{"with reasons", `{"customer_id":"10042","explain":true}`, .34, true},
		{"features beside the other members", `{"explain":false,` + technician[1:], .34, false},
		{"features beside a customer_id", `{"age":50,"customer_id":"10042"}`, .5, false},
		{"features here and there", `{"age":50,"features":` + with("age", "") + `}`, .5, false},
		{"an absent feature takes the schema's default", `{"features":` + with("pdays", "") + `}`, .34, false},
		{"an alias", `{"features":` + strings.Replace(technician, "emp_var_rate", "emp.var.rate", 1) + `}`, .34, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := *b
			b.t = t
			var p api.Prediction
			b.post("/predict", test.body).want(200).decode(&p)
			if p.Score != test.score || p.Model != "m1" || p.Schema != b.deps.Predict.Schema().Fingerprint() || p.PredictionID == "" {
				t.Errorf("got %+v", p)
			}
			if (len(p.Reasons) > 0) != test.reasons {
				t.Errorf("reasons: %v", p.Reasons)
			}
		})
	}
}

func TestPredictExplains(t *testing.T) {
	b := setup(t)
	features := b.deps.Predict.Schema().Features
	b.scorer.Weights = make([]float64, b.deps.Predict.Schema().Width())
	b.scorer.Weights[0] = 2
	b.scorer.Change = func(s *predict.Scores) { s.Base = -0.5 }
	for _, test := range []struct {
		explain string
		base    bool
		reasons int
	}{{"true", false, 5}, {`"all"`, true, len(features)}, {"false", false, 0}, {` "\u0061ll"`, true, len(features)}} {
		t.Run(test.explain, func(t *testing.T) {
			b := *b
			b.t = t
			instance := `{"explain":` + test.explain + `,"features":` + technician + `}`
			one := b.post("/predict", instance).want(200)
			batch := b.post("/predict/batch", `{"instances":[`+instance+`]}`).want(200)
			stream := b.stream("application/x-ndjson", instance+"\n").want(200)
			for _, a := range []answer{one, batch, stream} {
				var p api.Prediction
				text := []byte(strings.TrimSuffix(strings.TrimPrefix(a.body, `{"predictions":[`), "],\"failed\":0}\n"))
				if err := json.Unmarshal(text, &p); err != nil {
					t.Fatalf("%s: %v", a.body, err)
				}
				if len(p.Reasons) != test.reasons || (p.Base != nil) != test.base || test.base && *p.Base != -0.5 {
					t.Errorf("got %s", a.body)
				}
				if test.reasons > 0 && p.Reasons[0] != (predict.Reason{Feature: "age", Contribution: 68}) {
					t.Errorf("got %+v first", p.Reasons[0])
				}
				if h := a.header.Get(api.ExplainUnavailable); h != "" {
					t.Errorf("%s: %s", api.ExplainUnavailable, h)
				}
			}
		})
	}
}

func TestPredictSaysWhyItDoesNotExplain(t *testing.T) {
	b := setup(t)
	b.scorer.Change = func(s *predict.Scores) { s.Unexplained = "the artifact\r\nis of größe 7" + strings.Repeat("x", 500) }
	const asked, plain = `{"explain":true,"features":` + technician + `}`, `{"features":` + technician + `}`
	for name, a := range map[string]answer{
		"predict": b.post("/predict", asked).want(200),
		"batch":   b.post("/predict/batch", `{"instances":[`+plain+`,`+asked+`,`+asked+`]}`).want(200),
		"stream":  b.stream("application/x-ndjson", plain+"\n"+asked+"\n").want(200),
	} {
		h := a.header.Values(api.ExplainUnavailable)
		if len(h) != 1 || !strings.HasPrefix(h[0], "the artifact??is of gr??e 7xxx") || len(h[0]) != 300 {
			t.Errorf("%s: header %q", name, h)
		}
		if !strings.Contains(a.body, `"reasons":null`) || strings.Contains(a.body, "größe") {
			t.Errorf("%s: got %s", name, a.body)
		}
	}
	for name, a := range map[string]answer{
		"predict": b.post("/predict", plain).want(200),
		"stream":  b.stream("text/csv", csvHeader+csvRow).want(200),
	} {
		if a.header.Get(api.ExplainUnavailable) != "" || strings.Contains(a.body, "reasons") {
			t.Errorf("%s, not asked for: %s", name, a.body)
		}
	}
}

func TestWhatPredictRefuses(t *testing.T) {
	b := setup(t, withOptions(func(o *api.Options) { o.MaxBody = 4096 }))
	features := func(name, value string) string { return `{"features":` + with(name, value) + `}` }
	for _, test := range []struct {
		name, body string
		status     int
		fields     string
	}{
		{"an empty body", ``, 400, ""},
		{"not JSON", `age=34`, 400, ""},
		{"an object that does not end", `{"features":{"age":34`, 400, ""},
		{"text after the object", `{"customer_id":"1"} {}`, 400, ""},
		{"a member given twice", `{"customer_id":"1","customer_id":"2"}`, 400, ""},
		{"a feature given twice", features("age2", `1,"age":35`), 400, ""},
		{"a member given twice under another escape", `{"explain":true,"\u0065xplain":true}`, 400, ""},
		{"NaN", features("euribor3m", "NaN"), 400, ""},
		{"Infinity", features("euribor3m", "-Infinity"), 400, ""},
		{"text that is not UTF-8", "{\"customer_id\":\"\xff\"}", 400, ""},
		{"half a surrogate", `{"customer_id":"\ud800"}`, 400, ""},
		{"a comment", `{"customer_id":"1" /* one */}`, 400, ""},
		{"a comma too many", `{"customer_id":"1",}`, 400, ""},
		{"JSON that breaks after what is merely wrong", `{"customer":1,`, 400, ""},
		{"an array", `[]`, 422, "body type"},
		{"a string", `"10042"`, 422, "body type"},
		{"null", `null`, 422, "body type"},
		{"nothing to predict from", `{}`, 422, "features missing"},
		{"no features in the object", `{"features":{}}`, 422, "features missing"},
		{"null where an id is due", `{"customer_id":null}`, 422, "customer_id type"},
		{"a number where an id is due", `{"customer_id":10042}`, 422, "customer_id type"},
		{"an empty id", `{"customer_id":""}`, 422, "customer_id missing"},
		{"an id with a line end", `{"customer_id":"1\n2"}`, 422, "customer_id format"},
		{"an id beyond reason", `{"customer_id":"` + strings.Repeat("1", 300) + `"}`, 422, "customer_id format"},
		{"null where features are due", `{"features":null}`, 422, "/features type"},
		{"a member in the wrong case", `{"Customer_id":"1"}`, 422, "Customer_id unknown_field"},
		{"explain that is no boolean", `{"customer_id":"1","explain":1}`, 422, "explain type"},
		{"an unknown feature", features("shoe", "44"), 422, "/features/shoe unknown_field"},
		{"a feature in the wrong case", features("Age", "44"), 422, "/features/Age unknown_field"},
		{"null where a number is due", features("age", "null"), 422, "/features/age type"},
		{"a string where a number is due", features("age", `"34"`), 422, "/features/age type"},
		{"a fraction where an integer is due", features("age", "34.5"), 422, "/features/age not_integer"},
		{"a number beyond its range", features("age", "340"), 422, "/features/age out_of_range"},
		{"a number beyond numbers", features("euribor3m", "1e999"), 422, "/features/euribor3m out_of_range"},
		{"an unknown category", features("contact", `"fax"`), 422, "/features/contact unknown_category"},
		{"a feature under its name and an alias", features("emp.var.rate", "1"), 422, "/features/emp.var.rate duplicate"},
		{"a feature that is missing", features("age", ""), 422, "/features/age missing"},
		{"a feature here and there", `{"age":34,"features":` + technician + `}`, 422, "/features/age duplicate"},
		{"features beside the other members, some bad", `{"explain":false,"shoe":44,` + strings.Replace(with("age", "340"), `"contact":"cellular",`, "", 1)[1:], 422,
			"/features/contact missing, age out_of_range, shoe unknown_field"},
		{"features beside the other members, one missing", with("age", ""), 422, "/features/age missing"},
		{"everything at once", `{"customer":1,"explain":"yes","features":` +
			strings.Replace(strings.Replace(with("age", "340"), `"jun"`, `"June"`, 1), `"contact":"cellular",`, "", 1) + `}`, 422,
			"/features/age out_of_range, /features/contact missing, /features/month unknown_category, customer unknown_field, explain type"},
		{"an unknown customer", `{"customer_id":"nobody"}`, 404, ""},
		{"a body that is too large", `{"customer_id":"` + strings.Repeat("1", 5000) + `"}`, 413, ""},
		{"nesting beyond reason", `{"features":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`, 422, "/features type"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := *b
			b.t = t
			p := b.post("/predict", test.body).problem(test.status)
			if got := fields(p); got != test.fields {
				t.Errorf("fields %q, want %q", got, test.fields)
			}
		})
	}
	if n := len(b.store.Predictions()); n > 0 {
		t.Errorf("%d predictions are in the ledger", n)
	}
}

func TestNestingTooDeepIsMalformed(t *testing.T) {
	b := setup(t)
	b.post("/predict", `{"features":`+strings.Repeat("[", 400_000)+`}`).problem(400)
	b.post("/predict", `{"features":`+strings.Repeat(`{"a":`, 100_000)+`}`).problem(400)
}

func TestContentTypes(t *testing.T) {
	b := setup(t)
	body := `{"features":` + technician + `}`
	for _, good := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=\"UTF-8\""} {
		b.do("POST", "/predict", body, "Content-Type: "+good).want(200)
	}
	for _, bad := range []string{"", "text/plain", "application/json; charset=latin1", "application/x-www-form-urlencoded", "application/json;;", "text/csv"} {
		b.do("POST", "/predict", body, "Content-Type: "+bad).problem(415)
	}
	b.do("POST", "/predict", body).problem(415)
	b.post("/predict", body, "Content-Encoding: gzip").problem(415)
	b.post("/predict", body, "Content-Encoding: identity").want(200)
	b.do("POST", "/predict/batch", csvHeader+csvRow, "Content-Type: text/csv", "Content-Encoding: gzip").problem(415)
	b.do("POST", "/predict/batch", csvHeader+csvRow, "Content-Type: text/csv; charset=utf-16").problem(415)
}

func TestBatch(t *testing.T) {
	b := setup(t)
	good := `{"features":` + technician + `}`
	var got struct {
		Predictions []api.BatchItem `json:"predictions"`
		Failed      int             `json:"failed"`
	}
	b.post("/predict/batch", `{"instances":[`+good+`,{"customer_id":"nobody"},{"features":`+with("age", "340")+`},7,`+good+`]}`).want(200).decode(&got)
	if got.Failed != 3 || len(got.Predictions) != 5 {
		t.Fatalf("got %+v", got)
	}
	for i, status := range []int{0, 404, 422, 422, 0} {
		item := got.Predictions[i]
		switch {
		case status == 0 && (item.Error != nil || item.Score != .34):
			t.Errorf("item %d: %+v", i, item)
		case status != 0 && (item.Error == nil || item.Error.Status != status || item.Error.RequestID == ""):
			t.Errorf("item %d: %+v", i, item)
		}
	}
	if f := fields(*got.Predictions[2].Error); f != "/features/age out_of_range" {
		t.Errorf("fields %q", f)
	}
	if n := len(b.store.Predictions()); n != 2 {
		t.Errorf("%d predictions in the ledger, want 2", n)
	}

	t.Run("all that fail are 422, each with its error", func(t *testing.T) {
		b := *b
		b.t = t
		a := b.post("/predict/batch", `{"instances":[{"customer_id":"nobody"},{}]}`).want(422).decode(&got)
		if a.header.Get("Content-Type") != "application/json" || got.Failed != 2 || got.Predictions[0].Error.Status != 404 {
			t.Errorf("got %s", a.body)
		}
	})
	t.Run("all that fail by our fault are our fault", func(t *testing.T) {
		b := *b
		b.t = t
		b.scorer.Fail(failure.Errorf(failure.BadModel, "the model failed"))
		defer b.scorer.Fail(nil)
		b.post("/predict/batch", `{"instances":[{},`+good+`]}`).problem(502)
	})
	for _, test := range []struct {
		name, body string
		status     int
		fields     string
	}{
		{"an empty list", `{"instances":[]}`, 422, "instances out_of_range"},
		{"no list", `{}`, 422, "instances missing"},
		{"null for a list", `{"instances":null}`, 422, "instances type"},
		{"a list alone", `[]`, 422, "body type"},
		{"another member, and its list", `{"rows":[],"instances":[{}]}`, 422, "rows unknown_field"},
		{"a broken instance", `{"instances":[{]}`, 400, ""},
		{"instances twice", `{"instances":[{}],"instances":[{}]}`, 400, ""},
		{"too many", `{"instances":[` + strings.Repeat("{},", 10_000) + `{}]}`, 413, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := *b
			b.t = t
			if got := fields(b.post("/predict/batch", test.body).problem(test.status)); got != test.fields {
				t.Errorf("fields %q, want %q", got, test.fields)
			}
		})
	}
}

func TestBatchIsOneCall(t *testing.T) {
	calls := 0
	b := setup(t, withScorer(scorerFunc(func(_ context.Context, rows []schema.Vector) (predict.Scores, error) {
		calls++
		return halves(rows), nil
	})))
	one := `{"features":` + technician + `}`
	b.post("/predict/batch", fmt.Sprintf(`{"instances":[%s,%s,{},%s]}`, one, one, one)).want(200)
	if calls != 1 {
		t.Errorf("%d calls of the model", calls)
	}
}

// A request that came without an id shares that of its prediction, and so does
// the call of the model; a call for many predictions has a name of its own.
func TestAPredictionSharesTheIDOfItsRequest(t *testing.T) {
	calls := make(chan string, 1)
	b := setup(t, withScorer(scorerFunc(func(ctx context.Context, rows []schema.Vector) (predict.Scores, error) {
		calls <- callctx.CallID(ctx)
		return halves(rows), nil
	})))
	prediction := `{"features":` + technician + `}`
	for _, header := range []string{"Accept: */*", "X-Request-Id: mine", "X-Request-Id: no\u00a0good"} {
		a := b.post("/predict", prediction, header).want(200)
		var p api.Prediction
		a.decode(&p)
		request, call := a.header.Get("X-Request-Id"), <-calls
		if shared := header != "X-Request-Id: mine"; (p.PredictionID == request) != shared || call != p.PredictionID || len(call) != 36 {
			t.Errorf("%q: request %q, prediction %q, call %q", header, request, p.PredictionID, call)
		}
	}
	a := b.post("/predict/batch", `{"instances":[`+prediction+`,`+prediction+`]}`).want(200)
	if call := <-calls; len(call) != 36 || strings.Contains(a.body, call) || call == a.header.Get("X-Request-Id") {
		t.Errorf("the call for two predictions is named %q", call)
	}
}
