package api_test

import (
	"strings"
	"testing"
	"time"

	"gateway/api"
	"gateway/internal/predict"
)

func TestOutcomes(t *testing.T) {
	b := setup(t)
	if _, _, err := b.store.PutCustomers(t.Context(), []predict.Customer{{ID: "10042", Features: []byte(technician)}, {ID: "10043", Features: []byte(technician)}}); err != nil {
		t.Fatal(err)
	}
	p, err := b.client.Predict(t.Context(), api.PredictionRequest{CustomerID: "10042"})
	if err != nil {
		t.Fatal(err)
	}
	var m api.Match
	b.post("/outcomes", `{"prediction_id":"`+p.PredictionID+`","outcome":1,"observed_at":"2026-11-23T10:00:00+01:00"}`).want(202).decode(&m)
	if m.CustomerID != "10042" || m.PredictionID == nil || *m.PredictionID != p.PredictionID || m.Model == nil || *m.Model != "m1" || m.Duplicate {
		t.Errorf("got %+v", m)
	}
	if c, _ := b.store.Customer("10042"); c.Label == nil || *c.Label != 1 {
		t.Errorf("the customer's label is %v", c.Label)
	}
	b.post("/outcomes", `{"prediction_id":"`+p.PredictionID+`","outcome":"yes","observed_at":"2026-11-23T10:00:00+01:00"}`).want(202).decode(&m)
	if !m.Duplicate {
		t.Errorf("the same again is %+v", m)
	}
	if a := b.post("/outcomes", `{"customer_id":"10043","outcome":0}`).want(202); !strings.HasPrefix(a.body, `{"prediction_id":null,"customer_id":"10043","model":null}`) {
		t.Errorf("got %s", a.body)
	}
	b.post("/outcomes", `{"customer_id":"nobody","outcome":0}`).problem(404)
	b.post("/outcomes", `{"prediction_id":"none","outcome":0}`).problem(404)

	t.Run("a list, each with its own answer", func(t *testing.T) {
		b := *b
		b.t = t
		var got struct {
			Outcomes []api.Match `json:"outcomes"`
			Failed   int         `json:"failed"`
		}
		b.post("/outcomes", `{"outcomes":[{"customer_id":"nobody","outcome":1},{"customer_id":"10043","outcome":1},
			{"customer_id":"10043","outcome":"perhaps","observed_at":"yesterday"},3,{"customer_id":"10042","prediction_id":"1"}]}`).want(202).decode(&got)
		if got.Failed != 4 || len(got.Outcomes) != 5 || got.Outcomes[1].CustomerID != "10043" {
			t.Fatalf("got %+v", got)
		}
		for i, want := range map[int]string{0: "", 2: "/outcomes/2/observed_at format, /outcomes/2/outcome unknown_category",
			3: "/outcomes/3 type", 4: "/outcomes/4/customer_id duplicate, /outcomes/4/outcome missing"} {
			status := 422
			if i == 0 {
				status = 404
			}
			if p := got.Outcomes[i].Error; p == nil || p.Status != status || fields(*p) != want {
				t.Errorf("item %d: %+v", i, p)
			}
		}
		// Those that were wrong all the same do not turn an accepted list down.
		b.post("/outcomes", `{"outcomes":[{}]}`).want(202).decode(&got)
		if got.Failed != 1 {
			t.Errorf("got %+v", got)
		}
	})
	for _, test := range []struct {
		name, body string
		status     int
		fields     string
	}{
		{"nothing", `{}`, 422, "outcome missing, prediction_id missing"},
		{"both ids", `{"prediction_id":"1","customer_id":"1","outcome":1}`, 422, "customer_id duplicate"},
		{"no outcome", `{"customer_id":"10042"}`, 422, "outcome missing"},
		{"null for an outcome", `{"customer_id":"10042","outcome":null}`, 422, "outcome type"},
		{"a number where the schema spells another", `{"customer_id":"10042","outcome":2}`, 422, "outcome unknown_category"},
		{"a number as a string", `{"customer_id":"10042","outcome":"1"}`, 422, "outcome unknown_category"},
		{"true", `{"customer_id":"10042","outcome":true}`, 422, "outcome type"},
		{"a time that is none", `{"customer_id":"10042","outcome":1,"observed_at":"2026-11-23"}`, 422, "observed_at format"},
		{"a time ten minutes ahead", `{"customer_id":"10042","outcome":1,"observed_at":"` + time.Now().Add(10*time.Minute).Format(time.RFC3339) + `"}`, 422, "observed_at out_of_range"},
		{"the end of time", `{"customer_id":"10042","outcome":1,"observed_at":"9999-12-31T23:59:59Z"}`, 422, "observed_at out_of_range"},
		{"the end of time, west of it", `{"customer_id":"10042","outcome":1,"observed_at":"9999-12-31T23:59:59-23:00"}`, 422, "observed_at out_of_range"},
		{"a time ahead for a prediction", `{"prediction_id":"` + p.PredictionID + `","outcome":1,"observed_at":"2062-01-01T00:00:00Z"}`, 422, "observed_at out_of_range"},
		{"a number that only rounds to one of the schema's", `{"customer_id":"10042","outcome":1.00000000000000000001}`, 422, "outcome unknown_category"},
		{"a number too large for a float64", `{"customer_id":"10042","outcome":1e999}`, 422, "outcome unknown_category"},
		{"a number for a time", `{"customer_id":"10042","outcome":1,"observed_at":1763892000}`, 422, "observed_at type"},
		{"an unknown member", `{"customer_id":"10042","outcome":1,"y":1}`, 422, "y unknown_field"},
		{"an empty list", `{"outcomes":[]}`, 422, "outcomes out_of_range"},
		{"an object for a list", `{"outcomes":{}}`, 422, "outcomes type"},
		{"both forms", `{"outcomes":[{"customer_id":"10042","outcome":1}],"outcome":1}`, 422, "outcome unknown_field"},
		{"a bare list", `[{"customer_id":"10042","outcome":1}]`, 422, "body type"},
		{"a broken list", `{"outcomes":[{"customer_id":"10042","outcome":1},]}`, 400, ""},
		{"an outcome twice", `{"customer_id":"10042","outcome":1,"outcome":0}`, 400, ""},
		{"too many", `{"outcomes":[` + strings.Repeat("1,", 10_000) + `1]}`, 413, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := *b
			b.t = t
			if got := fields(b.post("/outcomes", test.body).problem(test.status)); got != test.fields {
				t.Errorf("fields %q, want %q", got, test.fields)
			}
		})
	}
	t.Run("numbers that equal a spelling, and a clock a minute ahead", func(t *testing.T) {
		b := *b
		b.t = t
		for _, number := range []string{"1", "1.0", "1e0", "10e-1", "0", "-0", "0.0"} {
			b.post("/outcomes", `{"customer_id":"10043","outcome":`+number+`}`).want(202)
		}
		ahead := time.Now().Add(time.Minute).Format(time.RFC3339)
		b.post("/outcomes", `{"customer_id":"10043","outcome":1,"observed_at":"`+ahead+`"}`).want(202)
	})
	t.Run("an outcome that does not win says so", func(t *testing.T) {
		b := *b
		b.t = t
		if _, _, err := b.store.PutCustomers(t.Context(), []predict.Customer{{ID: "20001", Features: []byte(technician)}}); err != nil {
			t.Fatal(err)
		}
		b.post("/outcomes", `{"customer_id":"20001","outcome":1,"observed_at":"2026-11-23T10:00:00Z"}`).want(202)
		const earlier = `{"customer_id":"20001","outcome":0,"observed_at":"2026-11-22T10:00:00Z"}`
		var m api.Match
		if a := b.post("/outcomes", earlier).want(202); !strings.Contains(a.body, `"superseded":true`) {
			t.Errorf("got %s", a.body)
		} else if a.decode(&m); !m.Superseded {
			t.Errorf("got %+v", m)
		}
		var list struct {
			Outcomes []api.Match `json:"outcomes"`
		}
		b.post("/outcomes", `{"outcomes":[`+earlier+`,{"customer_id":"20001","outcome":0}]}`).want(202).decode(&list)
		if !list.Outcomes[0].Superseded || list.Outcomes[1].Superseded {
			t.Errorf("got %+v", list)
		}
	})
	t.Run("a store that is down", func(t *testing.T) {
		b := *b
		b.t = t
		b.store.Fail(errTest)
		defer b.store.Fail(nil)
		if a := b.post("/outcomes", `{"outcomes":[{"customer_id":"10042","outcome":1}]}`); a.problem(503).Detail == "" || a.header.Get("Retry-After") != "1" {
			t.Errorf("got %s", a.body)
		}
	})
}
