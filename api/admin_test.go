package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"gateway/api"
	"gateway/api/client"
	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

var errTest = errors.New("a failure made by a test")

func TestOperatorsNeedAToken(t *testing.T) {
	b := setup(t)
	for _, path := range []string{"/admin/status", "/admin/renewals", "/admin/nothing", "/admin", "/admin/", "/metrics"} {
		for _, header := range []string{"", "Bearer", "Bearer ", "Basic " + token, token, "Bearer" + token} {
			a := b.do("GET", path, "", "Authorization: "+header)
			if a.problem(401); !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s with %q: no WWW-Authenticate", path, header)
			}
		}
		for _, wrong := range []string{"wrong", token + "x", token[1:], strings.ToUpper(token)} {
			b.do("GET", path, "", "Authorization: Bearer "+wrong).problem(403)
		}
	}
	b.do("POST", "/admin/status", "").problem(401) // also before it says that the method is wrong
	b.asOperator("GET", "/admin/nothing", "").problem(404)
	if a := b.asOperator("POST", "/admin/status", ""); a.problem(405).Detail == "" || a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("allow %q", a.header.Get("Allow"))
	}
	b.do("GET", "/admin/status", "", "Authorization: bearer "+token).want(200)
}

func TestTokensMayChange(t *testing.T) {
	tokens := []edge.Token{{Name: "one", Value: "first"}, {Name: "two", Value: "second"}}
	b := setup(t, func(b *bundle, _ *api.Options, _ *parts) { b.edge.Tokens = func() []edge.Token { return tokens } })
	b.do("GET", "/admin/models", "", "Authorization: Bearer first").want(200)
	b.logs.await(t, `"token":"one"`)
	b.do("GET", "/admin/models", "", "Authorization: Bearer second").want(200)
	tokens = []edge.Token{{Name: "three", Value: "third"}}
	b.do("GET", "/admin/models", "", "Authorization: Bearer second").problem(403)
	b.do("GET", "/admin/models", "", "Authorization: Bearer third").want(200)
	tokens = nil
	b.do("GET", "/admin/models", "", "Authorization: Bearer third").problem(403)
}

func TestASeparateListenerForOperators(t *testing.T) {
	for _, open := range []bool{true, false} {
		public, admin := separate(t, open)
		public.asOperator("GET", "/admin/status", "").problem(404)
		public.asOperator("GET", "/metrics", "").problem(404)
		public.do("GET", "/schema", "").want(200)
		public.do("GET", "/livez", "").want(200)
		admin.asOperator("GET", "/admin/status", "").want(200)
		admin.do("GET", "/admin/status", "").problem(401)
		admin.do("GET", "/readyz", "").want(200)
		admin.do("GET", "/schema", "").problem(404)
		if open {
			admin.do("GET", "/metrics", "").want(200)
		} else {
			admin.do("GET", "/metrics", "").problem(401)
			admin.asOperator("GET", "/metrics", "").want(200)
		}
	}
}

// separate returns two bundles over the two handlers of one gateway.
func separate(t *testing.T, openMetrics bool) (public, admin *bundle) {
	parts := setup(t)
	d := parts.deps
	d.Registry = prometheus.NewRegistry()
	p, a := api.New(d, api.Options{SeparateAdmin: true, AdminOpenMetrics: openMetrics})
	serve := func(h *httptest.Server) *bundle {
		t.Cleanup(h.Close)
		b := *parts
		b.url, b.client = h.URL, &client.Client{BaseURL: h.URL, Token: token, HTTP: h.Client()}
		return &b
	}
	return serve(httptest.NewServer(p)), serve(httptest.NewServer(a))
}

func TestRetrain(t *testing.T) {
	for _, test := range []struct {
		name, body string
		headers    []string
	}{
		{"without a body", "", nil},
		{"as curl sends no body", "", []string{"Content-Type: application/x-www-form-urlencoded"}},
		{"an empty object", "{}", []string{"Content-Type: application/json"}},
		{"all there is", `{"reason":"new campaign","force":true,"overrides":{"gate":"log_loss:-0.01",
			"training":{"algorithm":"xgboost","instance_type":"ml.m5.large","instance_count":1,"max_runtime":"30m"},
			"hyperparameters":{"num_round":200,"eta":"0.1","max_depth":4}}}`, []string{"Content-Type: application/json"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := setup(t)
			var r modelswap.Renewal
			a := b.asOperator("POST", "/admin/retrain", test.body, test.headers...).want(202).decode(&r)
			if a.header.Get("Location") != "/admin/renewals/"+r.ID || r.Status != modelswap.Queued || r.Trigger != modelswap.TriggerManual {
				t.Errorf("location %q, %s", a.header.Get("Location"), a.body)
			}
			if test.name == "all there is" && (r.Reason != "new campaign" || !r.Force || r.Overrides.Hyperparameters["num_round"] != "200" || r.Overrides.Training.InstanceCount != 1) {
				t.Errorf("got %s", a.body)
			}
			b.asOperator("GET", a.header.Get("Location"), "").want(200)
			if p := b.asOperator("POST", "/admin/retrain", "").problem(409); !strings.Contains(p.Detail, r.ID) {
				t.Errorf("the conflict does not name %s: %s", r.ID, p.Detail)
			}
			var status map[string]any
			b.asOperator("GET", "/admin/status", "").want(200).decode(&status)
			if status["renewal"] != r.ID {
				t.Errorf("status says %v", status["renewal"])
			}
		})
	}
}

func TestWhatRetrainRefuses(t *testing.T) {
	b := setup(t)
	for _, test := range []struct {
		name, body string
		status     int
		fields     string
	}{
		{"JSON that is broken", `{"reason":`, 400, ""},
		{"a member given twice", `{"force":true,"force":false}`, 400, ""},
		{"an array", `[]`, 422, "body type"},
		{"wrong kinds all over", `{"reason":1,"force":"yes","overrides":{"gate":null,"hyperparameters":{"eta":[],"a/b":null},
			"training":{"instance_count":"1","max_runtime":60,"shoe":1},"shoe":{}},"when":"now"}`, 422,
			"/overrides/gate type, /overrides/hyperparameters/a~1b type, /overrides/hyperparameters/eta type, /overrides/shoe unknown_field, " +
				"/overrides/training/instance_count type, /overrides/training/max_runtime type, /overrides/training/shoe unknown_field, " +
				"force type, reason type, when unknown_field"},
		{"a fraction of an instance", `{"overrides":{"training":{"instance_count":1.5}}}`, 422, "/overrides/training/instance_count not_integer"},
		{"no instance", `{"overrides":{"training":{"instance_count":0}}}`, 422, "/overrides/training/instance_count out_of_range"},
		{"null for overrides", `{"overrides":null}`, 422, "/overrides type"},
		{"a gate that is none", `{"overrides":{"gate":"wide open"}}`, 422, "/overrides/gate format"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := *b
			b.t = t
			p := b.asOperator("POST", "/admin/retrain", test.body, "Content-Type: application/json").problem(test.status)
			if got := fields(p); got != test.fields {
				t.Errorf("fields %q, want %q", got, test.fields)
			}
		})
	}
	b.asOperator("POST", "/admin/retrain", "reason=now", "Content-Type: application/x-www-form-urlencoded").problem(415)
	if list, err := b.client.Renewals(t.Context(), 0, ""); err != nil || len(list) > 0 {
		t.Errorf("renewals were started: %v, %v", list, err)
	}
}

func TestRenewalsAndModels(t *testing.T) {
	b := setup(t)
	if a := b.asOperator("GET", "/admin/renewals", "").want(200); strings.TrimSpace(a.body) != `{"renewals":[]}` {
		t.Errorf("got %s", a.body)
	}
	if a := b.asOperator("GET", "/admin/models", "").want(200); strings.TrimSpace(a.body) != `{"models":[]}` {
		t.Errorf("got %s", a.body)
	}
	b.asOperator("GET", "/admin/renewals/none", "").problem(404)
	for _, limit := range []string{"0", "101", "many", "-1", "%2B5", "005", "1_0", "0x5", "5.0", "", "5&limit=5"} {
		if got := fields(b.asOperator("GET", "/admin/renewals?limit="+limit, "").problem(422)); got != "limit format" {
			t.Errorf("fields %q", got)
		}
	}
	b.swap.models = []modelswap.Model{{Name: "m1"}, {Name: "m0"}}
	models, err := b.client.Models(t.Context())
	if err != nil || len(models) != 2 || !models[0].Serving || models[1].Serving {
		t.Errorf("got %+v, %v", models, err)
	}
	var ids []string
	for range 3 {
		r, err := b.client.Retrain(t.Context(), api.RetrainRequest{Reason: "again"})
		if err != nil {
			t.Fatal(err)
		}
		b.swap.renewals[0].Status = modelswap.Failed
		ids = append([]string{r.ID}, ids...)
	}
	if list, err := b.client.Renewals(t.Context(), 2, ""); err != nil || len(list) != 2 || list[0].ID != ids[0] {
		t.Errorf("got %v, %v", list, err)
	}
	if list, err := b.client.Renewals(t.Context(), 2, ids[1]); err != nil || len(list) != 1 || list[0].ID != ids[2] {
		t.Errorf("got %v, %v", list, err)
	}
	if r, err := b.client.Renewal(t.Context(), ids[1]); err != nil || r.ID != ids[1] || len(r.Steps) != 7 {
		t.Errorf("got %v, %v", r, err)
	}
}

func TestStatus(t *testing.T) {
	b := setup(t, func(b *bundle, o *api.Options, _ *parts) {
		o.Version = "v1.2.3"
		b.deps.Status = func(context.Context) map[string]any { return map[string]any{"schedule": map[string]any{"next": nil}} }
	})
	page, err := b.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	schema, _ := page["schema"].(map[string]any)
	if page["version"] != "v1.2.3" || page["model"] != "m1" || page["endpoint"] != "ServiceEndpoint" || page["renewal"] != nil ||
		schema["fingerprint"] != b.deps.Predict.Schema().Fingerprint() || page["schedule"] == nil || page["unknown"] != nil {
		t.Errorf("got %v", page)
	}
	b.swap.err = errTest
	page, err = b.client.Status(t.Context())
	stale, _ := page["stale"].(map[string]any)
	if err != nil || page["model"] != "m1" || stale["model"] == nil || fmt.Sprint(page["unknown"]) != "[renewal schedule]" {
		t.Errorf("with a store that is down: %v, %v", page, err)
	}
}

// What the database said last is shown while it is down, also where only
// /readyz was asked before.
func TestStatusRemembers(t *testing.T) {
	down := &reasoned{}
	b := setup(t, func(b *bundle, _ *api.Options, _ *parts) {
		b.deps.Dependencies = []api.Dependency{{Name: "database", Check: func(context.Context) error {
			if b.swap.failure() != nil {
				return down
			}
			return nil
		}}}
	})
	finished := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	b.swap.renewals = []*modelswap.Renewal{
		{ID: "2", Status: modelswap.Running},
		{ID: "1", Status: modelswap.Rejected, Trigger: "manual", FinishedAt: &finished, Error: "the champion is better"},
		{ID: "0", Status: modelswap.Succeeded},
	}
	b.do("GET", "/readyz", "").want(200)
	for !b.swap.asked() { // the records are read in a goroutine of their own
		runtime.Gosched()
	}
	b.swap.setErr(errTest)
	wantLast := map[string]any{"id": "1", "status": "rejected", "trigger": "manual", "finished_at": "2026-11-23T10:00:00Z",
		"model": nil, "error": "the champion is better"}
	page := make(map[string]any)
	for stale := page; len(stale) < 2; stale, _ = page["stale"].(map[string]any) {
		var err error
		if page, err = b.client.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(wantLast, page["last_renewal"]); diff != "" || page["model"] != "m1" || page["renewal"] != nil {
		t.Errorf("model %v, renewal %v, last renewal (-want +got):\n%s", page["model"], page["renewal"], diff)
	}
}

// reasoned is an error with a reason for everyone, and more for operators.
type reasoned struct{}

func (*reasoned) Error() string  { return "the disk of 10.0.0.1 is full" }
func (*reasoned) Reason() string { return "disk_full" }

// The reason of a failure is one word to everyone and a text to operators.
func TestReasonsOfDependencies(t *testing.T) {
	b := setup(t, func(b *bundle, _ *api.Options, _ *parts) {
		b.deps.Dependencies = []api.Dependency{
			{Name: "database", Check: func(context.Context) error { return fmt.Errorf("a check: %w", &reasoned{}) }},
			{Name: "ledger", Check: func(context.Context) error { return errTest }},
			{Name: "secrets", Check: func(context.Context) error { return nil }},
		}
	})
	of := func(conditions any, name string) (state, reason, detail any) {
		c, _ := conditions.(map[string]any)[name].(map[string]any)
		return c["state"], c["reason"], c["detail"]
	}
	var ready map[string]any
	b.do("GET", "/readyz", "").want(200).decode(&ready)
	page, err := b.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		conditions                  any
		name, state, reason, detail any
	}{
		{ready["dependencies"], "database", "degraded", "disk_full", nil},
		{ready["dependencies"], "ledger", "degraded", nil, nil},
		{ready["dependencies"], "secrets", "ok", nil, nil},
		{page["dependencies"], "database", "degraded", "disk_full", "a check: the disk of 10.0.0.1 is full"},
		{page["dependencies"], "ledger", "degraded", nil, errTest.Error()},
		{page["dependencies"], "secrets", "ok", nil, nil},
	} {
		if state, reason, detail := of(c.conditions, c.name.(string)); state != c.state || reason != c.reason || detail != c.detail {
			t.Errorf("%s: got %v, %v, %v; want %v, %v, %v", c.name, state, reason, detail, c.state, c.reason, c.detail)
		}
	}
}

func TestImport(t *testing.T) {
	b := setup(t)
	body := "customer_id," + strings.TrimSuffix(csvHeader, "\n") + ",y\n1," + strings.TrimSuffix(csvRow, "\n") + ",yes\n" +
		"2," + strings.Replace(strings.TrimSuffix(csvRow, "\n"), "34", "340", 1) + ",no\n3," + strings.TrimSuffix(csvRow, "\n") + ",\n"
	a := b.asOperator("POST", "/admin/customers", body, "Content-Type: text/csv").want(200)
	if lines := a.lines(); len(lines) != 2 || !strings.HasPrefix(lines[0], `{"line":3,"errors":[{"field":"age","code":"out_of_range"`) ||
		lines[1] != `{"rows":3,"imported":2,"inserted":2,"updated":0,"failed":1,"labelled":1,"positive":1,"numbered":0,"demo_removed":0}` {
		t.Errorf("got %s", a.body)
	}
	if a.trailer.Get("X-Stream-End") != "complete" || a.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("headers %v, trailer %v", a.header, a.trailer)
	}
	var bad []predict.BadRow
	report, err := b.client.Import(t.Context(), "text/csv", strings.NewReader(body), client.ImportOptions{}, func(r predict.BadRow) { bad = append(bad, r) })
	if err != nil || report.Updated != 2 || len(bad) != 1 || bad[0].Line != 3 {
		t.Errorf("got %+v, %v, %v", report, bad, err)
	}
	if a := b.asOperator("POST", "/admin/customers", csvHeader, "Content-Type: text/csv").want(200); !strings.HasPrefix(a.body, `{"rows":0,`) {
		t.Errorf("no rows: %s", a.body)
	}
	ndjson := `{"customer_id":"7","features":` + technician + `,"y":1}` + "\n" + technician[:len(technician)-1] + `,"customer_id":"8"}` + "\n"
	if report, err = b.client.Import(t.Context(), "application/x-ndjson", strings.NewReader(ndjson), client.ImportOptions{}, nil); err != nil || report.Imported != 2 {
		t.Errorf("NDJSON: %+v, %v", report, err)
	}

	t.Run("rows without an id that are not those of another table", func(t *testing.T) {
		b := setup(t)
		other := csvHeader + strings.Replace(csvRow, "34", "35", 1)
		b.asOperator("POST", "/admin/customers", csvHeader+csvRow, "Content-Type: text/csv").want(200)
		if p := b.asOperator("POST", "/admin/customers?numbering=refuse", other, "Content-Type: text/csv").problem(409); !strings.HasPrefix(p.Detail, "line 2: customer 1 exists with other values") {
			t.Errorf("got %s", p.Detail)
		}
		if report, err := b.client.Import(t.Context(), "text/csv", strings.NewReader(other), client.ImportOptions{Numbering: predict.NumberContinue}, nil); err != nil || report.Inserted != 1 || report.Numbered != 1 {
			t.Errorf("got %+v, %v", report, err)
		}
		if got := fields(b.asOperator("POST", "/admin/customers?numbering=x", other, "Content-Type: text/csv").problem(422)); !strings.HasPrefix(got, "numbering ") {
			t.Errorf("got %s", got)
		}
	})
	t.Run("a header with an id that lacks a required column", func(t *testing.T) {
		p := b.asOperator("POST", "/admin/customers", "customer_id,agee\n1,2\n", "Content-Type: text/csv").problem(422)
		if got := fields(p); p.Detail != `line 1: the header row does not fit the schema "bank"` || !strings.Contains(got, "agee unknown_field") || !strings.Contains(got, "age missing") {
			t.Errorf("%s: %s", p.Detail, got)
		}
	})
	t.Run("a strict import stops at the first bad row", func(t *testing.T) {
		b := *b
		b.t = t
		p := b.asOperator("POST", "/admin/customers?strict=true", body, "Content-Type: text/csv").problem(422)
		if fields(p) != "age out_of_range" || !strings.HasPrefix(p.Detail, "line 3: ") {
			t.Errorf("got %+v", p)
		}
		if c, _ := b.store.Customer("1"); c.ID == "" {
			t.Error("what came before it is gone")
		}
	})
	t.Run("what is refused at once", func(t *testing.T) {
		b := *b
		b.t = t
		b.asOperator("POST", "/admin/customers", "{}", "Content-Type: application/json").problem(415)
		b.asOperator("POST", "/admin/customers", "shoe\n44\n", "Content-Type: text/csv").problem(422)
		for _, strict := range []string{"perhaps", "1", "T", "TRUE", "", "true&strict=false"} {
			b.asOperator("POST", "/admin/customers?strict="+strict, body, "Content-Type: text/csv").problem(422)
		}
		b.do("POST", "/admin/customers", body, "Content-Type: text/csv").problem(401)
	})
	t.Run("a store that is down", func(t *testing.T) {
		b := *b
		b.t = t
		b.store.Fail(failure.Errorf(failure.Unavailable, "the customer store does not answer"))
		defer b.store.Fail(nil)
		good := csvHeader + csvRow
		b.asOperator("POST", "/admin/customers", good, "Content-Type: text/csv").problem(503)
		a := b.asOperator("POST", "/admin/customers", body, "Content-Type: text/csv").want(200)
		lines := a.lines()
		if last := lines[len(lines)-1]; !strings.Contains(last, `"rows":3,"imported":0`) || !strings.Contains(last, `"status":503`) || a.trailer.Get("X-Stream-End") != "failed" {
			t.Errorf("got %s, %v", a.body, a.trailer)
		}
		report, err := b.client.Import(t.Context(), "text/csv", strings.NewReader(body), client.ImportOptions{}, nil)
		var p *edge.Problem
		if !errors.As(err, &p) || p.Status != 503 || report.Rows != 3 {
			t.Errorf("the client got %+v, %v", report, err)
		}
	})
}
