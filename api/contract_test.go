package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/contracttest"
	"gateway/internal/failure"
	"gateway/internal/insights"
	"gateway/internal/learn"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/scoring"
	"gateway/internal/secrets"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// unprovoked are the documented answers that this test cannot bring about, and why.
var unprovoked = map[string]string{}

// goodRequests has, for each operation, a request that the document allows.
var goodRequests = map[string]request{
	"predict":            {"POST /predict", `{"features":` + technician + `}`, "application/json"},
	"predictBatch":       {"POST /predict/batch", `{"instances":[{"features":` + technician + `}]}`, "application/json"},
	"recordOutcomes":     {"POST /outcomes", `{"customer_id":"10042","outcome":1}`, "application/json"},
	"invokeEndpoint":     {"POST /endpoints/ServiceEndpoint/invocations", servingRow("34"), "text/csv"},
	"getSchema":          {"GET /schema", "", ""},
	"getOpenAPI":         {"GET /openapi.yaml", "", ""},
	"getDocs":            {"GET /docs", "", ""},
	"getRoot":            {"GET /", "", ""},
	"livez":              {"GET /livez", "", ""},
	"readyz":             {"GET /readyz", "", ""},
	"healthz":            {"GET /healthz", "", ""},
	"metrics":            {"GET /metrics", "", ""},
	"retrain":            {"POST /admin/retrain", `{"reason":"new campaign"}`, "application/json"},
	"listRenewals":       {"GET /admin/renewals", "", ""},
	"getRenewal":         {"GET /admin/renewals/r1", "", ""},
	"renewalEvents":      {"GET /admin/renewals/r1/events", "", ""},
	"resumeRenewal":      {"POST /admin/renewals/r1/resume", `{"from":"train"}`, "application/json"},
	"cancelRenewal":      {"POST /admin/renewals/r1/cancel", "", ""},
	"rollback":           {"POST /admin/rollback", `{"model":"m0"}`, "application/json"},
	"importCustomers":    {"POST /admin/customers", csvHeader + csvRow, "text/csv"},
	"exportCustomers":    {"GET /admin/customers", "", ""},
	"exportPredictions":  {"GET /admin/predictions", "", ""},
	"exportTrainingData": {"GET /admin/training-data", "", ""},
	"listModels":         {"GET /admin/models", "", ""},
	"getModel":           {"GET /admin/models/m1", "", ""},
	"getQuality":         {"GET /admin/insights/quality?from=2026-11-01T00:00:00Z&bucket=day", "", ""},
	"getDrift":           {"GET /admin/insights/drift?model=m1", "", ""},
	"getCorrelations":    {"GET /admin/insights/correlations", "", ""},
	"getStatus":          {"GET /admin/status", "", ""},
	"listActs":           {"GET /admin/audit", "", ""},
}

// request is a method and a path, and what is sent there.
type request struct{ target, body, contentType string }

func TestTheDocumentHasTheRoutes(t *testing.T) {
	c := openContract(t)
	all, public, operators := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for path, item := range c.Paths().Map() {
		for method, operation := range item.Operations() {
			route := method + " " + path
			all[route] = true
			switch {
			case slices.Contains(operation.Tags, "admin"), path == "/metrics":
				operators[route] = true
			case slices.Contains(operation.Tags, "health"):
				public[route], operators[route] = true, true
			default:
				public[route] = true
			}
		}
	}
	deps := setup(t).deps
	handlers := func(separate bool) (http.Handler, http.Handler) {
		deps.Registry = prometheus.NewRegistry()
		return api.New(deps, api.Options{SeparateAdmin: separate})
	}
	compareRoutes := func(name string, h http.Handler, documented map[string]bool) {
		t.Helper()
		served := routesOf(t, h)
		for route := range served {
			if !documented[route] {
				t.Errorf("%s: %s is not in openapi.yaml", name, route)
			}
		}
		for route := range documented {
			if !served[route] {
				t.Errorf("%s: %s is in openapi.yaml alone", name, route)
			}
		}
	}
	one, none := handlers(false)
	if none != nil {
		t.Error("one listener, two handlers")
	}
	compareRoutes("the one listener", one, all)
	apps, admin := handlers(true)
	compareRoutes("the public listener", apps, public)
	operators["GET /"] = true // it leads to the console; the document has the path of apps
	compareRoutes("the operators' listener", admin, operators)
}

// routesOf walks the routes. The pages below /docs/ and /console are for people, and no
// part of the interface; those below /debug/pprof are Go's own interface, for its own
// tools, and change with Go.
func routesOf(t *testing.T, h http.Handler) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := chi.Walk(h.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if route != "/docs/*" && !strings.HasPrefix(route, "/debug/pprof/") && !strings.HasPrefix(route, "/console") {
			found[method+" "+route] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestAnswersAreThoseOfTheDocument provokes every answer that the document
// describes, and holds what comes against it.
func TestAnswersAreThoseOfTheDocument(t *testing.T) {
	t.Parallel() // it is long
	c := openContract(t)
	for operation := range c.Operations() {
		if _, ok := goodRequests[operation]; !ok {
			t.Fatalf("goodRequests has nothing for %s", operation)
		}
	}
	c.predictions()
	c.outcomesAndInvocations()
	c.documentsAndHealth()
	c.renewals()
	c.repetitions()
	c.steering()
	c.imports()
	c.exports()
	c.modelsAndStatus()
	c.insights()
	c.faultsOfTheModel()
	c.faultsOfStores()
	c.bodiesThatBreakOff()
	c.load()
	c.tokens()
	c.keys()
	c.nothingElse()

	var missed []string
	for operation, o := range c.Operations() {
		if !c.Called(operation) {
			t.Errorf("%s was never called", operation)
		}
		for status := range o.Spec.Responses.Map() {
			name := operation + " " + status
			switch _, excused := unprovoked[name]; {
			case c.Answered(operation, status) && excused:
				t.Errorf("%s was provoked after all; take it off the list", name)
			case !c.Answered(operation, status) && !excused:
				t.Errorf("%s is documented, and was not provoked", name)
			case excused:
				missed = append(missed, name+": "+unprovoked[name])
			}
		}
	}
	for name := range unprovoked {
		operation, status, _ := strings.Cut(name, " ")
		if o := c.Operations()[operation]; o == nil || o.Spec.Responses.Value(status) == nil {
			t.Errorf("%s is excused, and not documented", name)
		}
	}
	slices.Sort(missed)
	if len(missed) > 0 {
		t.Logf("documented, but not provoked:\n%s", strings.Join(missed, "\n"))
	}
}

func (c *contract) predictions() {
	b := c.setup(withOptions(func(o *api.Options) { o.MaxBody = 8192 }))
	b.scorer.Weights = make([]float64, b.deps.Predict.Schema().Width())
	b.store10042()
	tooLarge := `{"customer_id":"` + strings.Repeat("1", 9000) + `"}`

	c.good(b, "predict", 200)
	c.try(b, 200, "POST /predict", `{"customer_id":"10042","explain":true}`)
	c.try(b, 200, "POST /predict", `{"customer_id":"10042","features":{"age":50}}`, "X-Request-Id: mine")
	c.try(b, 400, "POST /predict", `{"features":`)
	c.try(b, 404, "POST /predict", `{"customer_id":"nobody"}`)
	c.try(b, 413, "POST /predict", tooLarge)
	c.try(b, 415, "POST /predict", `age=34`, "Content-Type: application/x-www-form-urlencoded")
	c.try(b, 422, "POST /predict", `{"features":`+with("age", "340")+`,"shoe":44}`)

	c.good(b, "predictBatch", 200)
	c.try(b, 200, "POST /predict/batch", `{"instances":[{"customer_id":"10042","explain":true},{"customer_id":"nobody"},{"features":{"age":340}}]}`)
	c.try(b, 400, "POST /predict/batch", `{"instances":[{]}`)
	c.try(b, 413, "POST /predict/batch", tooLarge)
	c.try(b, 415, "POST /predict/batch", `<instances/>`, "Content-Type: application/xml")
	c.try(b, 422, "POST /predict/batch", `{"instances":[{"customer_id":"nobody"},{}]}`)
	c.try(b, 422, "POST /predict/batch", `{"instances":[]}`)
	c.try(b, 422, "POST /predict/batch", "agee,"+csvHeader, "Content-Type: text/csv")
	c.try(b, 200, "POST /predict/batch", csvHeader+csvRow+strings.Replace(csvRow, "34", "340", 1)+"34,technician\n", "Content-Type: text/csv")
	c.try(b, 200, "POST /predict/batch", csvHeader, "Content-Type: text/csv")
	lines := `{"customer_id":"10042","explain":true}` + "\n" + `{"features":` + technician + "}\nnonsense\n" + `{"customer_id":"nobody"}`
	c.try(b, 200, "POST /predict/batch", lines, "Content-Type: application/x-ndjson")

	// A row that is too long, in the second chunk, ends a stream that has begun.
	ended := c.try(b, 200, "POST /predict/batch", csvHeader+strings.Repeat(csvRow, 300)+strings.Repeat("3", 200_000), "Content-Type: text/csv")
	if got := ended.trailer.Get("X-Stream-End"); got != "failed" || !strings.Contains(ended.body, `"end":true`) {
		c.t.Errorf("a stream that had to end: trailer %q", got)
	}
}

func (c *contract) outcomesAndInvocations() {
	b := c.setup()
	b.store10042()
	var p api.Prediction
	c.try(b, 200, "POST /predict", `{"customer_id":"10042"}`).decode(&p)
	outcome := `{"prediction_id":"` + p.PredictionID + `","outcome":"yes","observed_at":"2026-11-23T10:00:00+01:00"}`
	c.try(b, 202, "POST /outcomes", outcome)
	c.try(b, 202, "POST /outcomes", outcome) // a duplicate
	c.try(b, 202, "POST /outcomes", `{"customer_id":"10043","outcome":0}`)
	c.try(b, 202, "POST /outcomes", `{"outcomes":[{"customer_id":"10042","outcome":1},{"customer_id":"nobody","outcome":1}]}`)
	c.try(b, 400, "POST /outcomes", outcome+outcome)
	c.try(b, 404, "POST /outcomes", `{"customer_id":"nobody","outcome":0}`)
	c.try(b, 413, "POST /outcomes", `{"outcomes":[`+strings.Repeat("1,", 10_000)+`1]}`)
	c.try(b, 415, "POST /outcomes", outcome, "Content-Encoding: gzip")
	c.try(b, 422, "POST /outcomes", `{"customer_id":"10042","prediction_id":"1"}`)

	c.good(b, "invokeEndpoint", 200)
	c.try(b, 400, "POST /endpoints/Elsewhere/invocations", servingRow("34"))
	c.try(b, 400, "POST /endpoints/%FF/invocations", servingRow("34"))
	c.try(b, 413, "POST /endpoints/ServiceEndpoint/invocations", strings.Repeat("1", 6<<20+1))
	c.try(b, 424, "POST /endpoints/ServiceEndpoint/invocations", servingRow("x"))
	c.try(b, 424, "POST /endpoints/ServiceEndpoint/invocations", "{}", "Content-Type: application/json")
}

func (c *contract) documentsAndHealth() {
	b := c.setup()
	for _, operation := range []string{"getSchema", "getOpenAPI"} {
		tag := c.good(b, operation, 200).header.Get("ETag")
		c.good(b, operation, 304, "If-None-Match: "+tag)
	}
	c.good(b, "getDocs", 307)
	for _, operation := range []string{"livez", "readyz", "healthz", "metrics"} {
		c.good(b, operation, 200)
	}
	c.good(b, "metrics", 401, "Authorization: ")
	c.good(b, "metrics", 403, "Authorization: Bearer wrong")
	c.good(c.setup(withOptions(func(o *api.Options) { o.AdminOpenMetrics = true })), "metrics", 200, "Authorization: ")
	twice := c.setup()
	twice.deps.Registry.MustRegister(uncollectable{})
	c.good(twice, "metrics", 500)

	for _, required := range []bool{true, false} {
		failing := c.setup(func(b *bundle, _ *api.Options, _ *parts) {
			b.deps.Dependencies = []api.Dependency{
				{Name: "database", Required: required, Check: func(context.Context) error { return errTest }},
				{Name: "model", Required: true, Check: func(context.Context) error { return nil }},
			}
		})
		status := map[bool]int{true: 503, false: 200}[required]
		c.good(failing, "readyz", status)
		c.good(failing, "healthz", status)
		c.good(failing, "getStatus", 200)
	}
}

// uncollectable is a metric that cannot be shown.
type uncollectable struct{}

var uncollectableDesc = prometheus.NewDesc("uncollectable", "A metric that cannot be shown.", nil, nil)

func (uncollectable) Describe(ch chan<- *prometheus.Desc) { ch <- uncollectableDesc }
func (uncollectable) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(uncollectableDesc, errTest)
}

func (c *contract) renewals() {
	b := c.setup(withOptions(func(o *api.Options) { o.MaxBody = 4096 }))
	var r modelswap.Renewal
	c.good(b, "listRenewals", 200)
	c.try(b, 202, "POST /admin/retrain", `{"reason":"deeper trees","force":true,"overrides":{"gate":"log_loss:-0.01",
		"training":{"algorithm":"xgboost","instance_type":"ml.m5.large","instance_count":1,"max_runtime":"30m"},
		"hyperparameters":{"num_round":200,"eta":"0.1"}}}`).decode(&r)
	c.good(b, "retrain", 409)
	c.try(b, 400, "POST /admin/retrain", `{"force":true,"force":false}`)
	c.try(b, 413, "POST /admin/retrain", `{"reason":"`+strings.Repeat("why ", 2000)+`"}`)
	c.try(b, 415, "POST /admin/retrain", "reason=now", "Content-Type: application/x-www-form-urlencoded")
	c.try(b, 422, "POST /admin/retrain", `{"overrides":{"gate":"wide open","shoe":44}}`)
	c.try(b, 200, "GET /admin/renewals/"+r.ID, "")
	c.good(b, "getRenewal", 404)
	c.good(b, "getStatus", 200) // with a renewal that is queued

	b.finishRenewal()
	c.try(b, 200, "GET /admin/renewals/"+r.ID, "")
	c.try(b, 202, "POST /admin/retrain", "", "Content-Type: ")
	c.try(b, 200, "GET /admin/renewals?limit=1", "")
	c.try(b, 200, "GET /admin/renewals?before="+b.swap.renewals[0].ID, "")
	c.try(b, 422, "GET /admin/renewals?limit=101", "")
	c.good(b, "listActs", 200)
	c.try(b, 200, "GET /admin/audit?limit=1&before="+newestAct(c.t, b.acts).ID, "")
	c.try(b, 404, "GET /admin/audit?before=none", "")
	c.try(b, 422, "GET /admin/audit?limit=101", "")
	b.swap.err = failure.Errorf(failure.NotFound, "there is no renewal with this id")
	c.try(b, 404, "GET /admin/renewals?before=none", "")
}

// repetitions sends requests with an Idempotency-Key.
func (c *contract) repetitions() {
	b := c.setup(withKeys(sqliteKeys(c.t)))
	b.store10042()
	for operation, status := range map[string]int{"predict": 200, "recordOutcomes": 202, "retrain": 202} {
		target := goodRequests[operation].target
		for _, key := range []string{"k", `"k"`, "k"} {
			c.good(b, operation, status, withKey(key))
			c.try(b, 422, target, `{"shoe":44}`, withKey("invalid"))
			c.try(b, 400, target, `{`, withKey("malformed"))
		}
		c.try(b, 409, target, `{}`, withKey("k"))
		c.good(b, operation, 400, withKey("two words"))
	}
	c.good(c.setup(withKeys(failingKeys{})), "predict", 200, withKey("k"))
	c.good(c.setup(withKeys(failingKeys{})), "retrain", 503, withKey("k"))
	impatient := withOptions(func(o *api.Options) { o.PredictTimeout = 20 * time.Millisecond })
	c.good(c.setup(withKeys(busyKeys{}), impatient), "predict", 409, withKey("k"))
}

// finishRenewal ends the newest renewal and fills in all of its members.
func (b *bundle) finishRenewal() {
	b.swap.mu.Lock()
	defer b.swap.mu.Unlock()
	now, model, why := time.Now().UTC(), "m2", "the challenger lost"
	r := b.swap.renewals[0]
	r.Status, r.FinishedAt, r.Model, r.Error = modelswap.Rejected, &now, &model, why
	r.Metrics = modelswap.Metrics{Champion: &learn.Metrics{Rows: 9, AUC: .9}, Challenger: &learn.Metrics{Rows: 9, AUC: .8}, Rows: 9}
	for i := range r.Steps {
		r.Steps[i] = modelswap.Step{Name: r.Steps[i].Name, Status: modelswap.StepSucceeded, Attempt: 1, StartedAt: &now, FinishedAt: &now,
			Detail: map[string]any{"rows": 9, "skipped": map[string]int{"unlabelled": 1}}}
	}
	r.Step(modelswap.Evaluate).Error = &why
}

func (c *contract) steering() {
	b := c.setup(withOptions(func(o *api.Options) { o.MaxBody = 4096 }))
	for _, operation := range []string{"resumeRenewal", "cancelRenewal", "renewalEvents", "rollback"} {
		c.good(b, operation, 404)
	}
	var r modelswap.Renewal
	c.good(b, "retrain", 202).decode(&r)
	path := "/admin/renewals/" + r.ID
	c.try(b, 409, "POST "+path+"/resume", "", "Content-Type: ")
	c.try(b, 202, "POST "+path+"/cancel", "")
	c.try(b, 200, "GET "+path, "")
	b.finishRenewal()
	c.try(b, 409, "POST "+path+"/cancel", "")
	id := lastEventID(c.try(b, 200, "GET "+path+"/events", ""))
	c.try(b, 204, "GET "+path+"/events", "", "Last-Event-ID: "+id)
	c.try(b, 200, "GET "+path+"/events", "", "Last-Event-ID: 0")
	c.try(b, 202, "POST "+path+"/resume", `{"from":"train","overrides":{"gate":"off","hyperparameters":{"num_round":100},"training":{"algorithm":"xgboost"}}}`)

	for _, path := range []string{path + "/resume", "/admin/rollback"} {
		c.try(b, 400, "POST "+path, `{`)
		c.try(b, 413, "POST "+path, `{"model":"`+strings.Repeat("m", 5000)+`"}`)
		c.try(b, 415, "POST "+path, "from=train", "Content-Type: application/x-www-form-urlencoded")
		c.try(b, 422, "POST "+path, `{"from":"","model":""}`)
	}
	c.try(b, 409, "POST /admin/rollback", "", "Content-Type: ")
	hash, now := b.deps.Predict.Schema().Fingerprint(), time.Now().UTC()
	b.swap.models = []modelswap.Model{
		{Name: "m1", Renewal: "r1", Schema: hash, Data: hash, CreatedAt: now, DeployedAt: &now},
		{Name: "m0", Renewal: "r0", Schema: hash, Data: hash, CreatedAt: now, DeployedAt: &now, RetiredAt: &now},
	}
	c.good(b, "rollback", 200)
	c.try(b, 200, "POST /admin/rollback", "", "Content-Type: ")
}

func (c *contract) imports() {
	b := c.setup()
	bad := csvHeader + csvRow + strings.Replace(csvRow, "34", "340", 1)
	c.good(b, "importCustomers", 200)
	c.try(b, 200, "POST /admin/customers", bad)
	c.try(b, 200, "POST /admin/customers?strict=true", csvHeader+csvRow)
	c.try(b, 200, "POST /admin/customers", `{"customer_id":"7","features":`+technician+`,"y":1}`, "Content-Type: application/x-ndjson")
	c.try(b, 409, "POST /admin/customers?numbering=refuse", csvHeader+strings.Replace(csvRow, "34", "35", 1))
	c.try(b, 422, "POST /admin/customers?numbering=perhaps", bad)
	c.try(b, 415, "POST /admin/customers", "[]", "Content-Type: application/json")
	c.try(b, 422, "POST /admin/customers?strict=true", bad)
	c.try(b, 422, "POST /admin/customers?strict=perhaps", bad)
	b.store.Fail(failure.Errorf(failure.Unavailable, "the customer store does not answer"))
	c.good(b, "importCustomers", 503)
	c.try(b, 200, "POST /admin/customers", bad) // its last line has the error
	b.store.Fail(errTest)
	c.good(b, "importCustomers", 500)
}

func (c *contract) exports() {
	b := c.setup()
	b.store10042()
	c.good(b, "predict", 200)
	for _, operation := range []string{"exportCustomers", "exportPredictions"} {
		target := goodRequests[operation].target
		c.good(b, operation, 200)
		c.try(b, 200, target+"?format=csv", "")
		c.try(b, 200, target+"?format=ndjson", "")
		c.try(b, 422, target+"?format=parquet", "")
	}
	c.try(b, 200, "GET /admin/predictions?from=2026-11-23T00:00:00Z&to=2126-11-24T00:00:00Z", "")
	c.try(b, 422, "GET /admin/predictions?from=yesterday", "")
	c.try(b, 422, "GET /admin/predictions?to=2026-13-24T00:00:00Z", "")
	c.try(b, 422, "GET /admin/predictions?from=2026-11-23T00:00:00Z&to=2026-11-23T00:00:00Z", "")
	c.good(b, "exportTrainingData", 404)
	c.good(c.setup(withTrainingData("1,2\n")), "exportTrainingData", 200)
	trained := c.setup(withTrainingData("1" + strings.Repeat(",0.5", b.deps.Predict.Schema().Width()) + "\n"))
	c.try(trained, 200, "GET /admin/training-data?format=ndjson&holdout=true", "")
	c.try(trained, 422, "GET /admin/training-data?holdout=maybe", "")
	c.try(trained, 422, "GET /admin/training-data?format=parquet", "")
	for status, err := range map[int]error{
		409: failure.Errorf(failure.Conflict, "the customers are elsewhere"),
		500: errTest,
		503: failure.Errorf(failure.Unavailable, "the database does not answer"),
		504: context.DeadlineExceeded,
	} {
		b := c.setup()
		b.store.Fail(err)
		c.good(b, "exportCustomers", status)
		if status != 409 {
			c.good(b, "exportPredictions", status)
			b.swap.err = err
			c.good(b, "exportTrainingData", status)
		}
	}
}

func (c *contract) insights() {
	b := c.setup()
	c.good(b, "getQuality", 200)
	c.good(b, "getDrift", 200) // without a profile
	c.good(b, "getCorrelations", 404)
	s := b.deps.Predict.Schema()
	p := insights.NewProfiler(s)
	row := s.NewRecord()
	for i := range s.Features { // the least value of each feature
		if s.Features[i].Type == schema.Category {
			s.SetText(row, i, s.Features[i].Values[0])
		} else if v := s.SetText(row, i, "30"); v != nil {
			c.t.Fatal(v)
		}
	}
	vector := s.Encode(row)
	for i := range 300 {
		if err := p.Add(insights.Row{Train: true, CSV: schema.AppendTrainingCSV(nil, i%2, vector)}); err != nil {
			c.t.Fatal(err)
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
	c.good(b, "getQuality", 200)
	c.good(b, "getDrift", 200)
	c.good(b, "getCorrelations", 200)
	c.try(b, 200, "GET /admin/insights/quality?segments=true", "")
	c.try(b, 422, "GET /admin/insights/quality?segments=yes", "")
	c.try(b, 200, "GET /admin/insights/quality?curves=true", "")
	c.try(b, 200, "GET /admin/insights/drift?against=week", "")
	c.try(b, 422, "GET /admin/insights/drift?against=month", "")
	c.try(b, 422, "GET /admin/insights/drift?against=", "")
	c.try(b, 422, "GET /admin/insights/quality?curves=yes", "")
	for _, what := range []string{"quality", "drift"} {
		c.try(b, 404, "GET /admin/insights/"+what+"?model=unknown", "")
		for _, wrong := range []string{"from=yesterday", "to=2026", "from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z", "bucket=week", "bucket=hour&bucket=day", "model="} {
			c.try(b, 422, "GET /admin/insights/"+what+"?"+wrong, "")
		}
	}
}

func (c *contract) modelsAndStatus() {
	b := c.setup()
	c.good(b, "listModels", 200)
	c.good(b, "getModel", 404)
	now := time.Now().UTC()
	hash := b.deps.Predict.Schema().Fingerprint()
	b.swap.models = []modelswap.Model{
		{Name: "m1", Renewal: "r1", Algorithm: "xgboost", Schema: hash, Data: hash, Rows: 9, Parameters: map[string]string{"eta": "0.1"},
			Metrics: &learn.Metrics{Rows: 9}, CreatedAt: now, DeployedAt: &now},
		{Name: "m0", Schema: hash, Data: hash, CreatedAt: now, RetiredAt: &now},
	}
	c.good(b, "listModels", 200)
	c.good(b, "getModel", 200) // without figures
	b.swap.figures = map[string]*modelswap.Figures{"m1": fullFigures}
	c.good(b, "getModel", 200)
	c.good(b, "getStatus", 200)
	b.swap.err = errTest // the page names what is not known
	c.good(b, "getStatus", 200)
	c.good(c.setup(func(b *bundle, _ *api.Options, _ *parts) {
		b.deps.Status = func(context.Context) map[string]any { panic("a fault") }
	}), "getStatus", 500)
}

// fullFigures have every member.
var fullFigures = &modelswap.Figures{
	Rows:  9,
	Label: &modelswap.Classes{Name: "y", Positive: []string{"yes"}, Negative: []string{"no"}, PositiveRate: .1},
	Estimates: &learn.Estimates{AUC: learn.Estimate{Value: .9, Low: .8, High: .95}, LogLoss: learn.Estimate{Value: .2},
		Precision: &learn.Estimate{Value: .5}},
	Importance: []learn.Importance{{Feature: "age", AUC: .1, LogLoss: .2}},
	Alone:      []learn.AloneAUC{{Feature: "age", AUC: .6}},
	Intercept:  new(float64),
	Coefficients: []modelswap.Coefficient{
		{Coefficient: learn.Coefficient{Column: "age", Feature: "age", Value: .01}, Unit: "per 1"}},
	Curve:       []modelswap.CurvePoint{{Round: 1, LogLoss: .3}},
	Calibration: []learn.CalibrationBin{{From: .1, To: .2, Count: 9, MeanScore: .15, PositiveRate: .1}},
	Confusion:   &learn.Confusion{Threshold: .5, TruePositives: 9},
	Search: &learn.Search{Rows: 9, Folds: 3, Chosen: learn.XGBoost, Calibration: learn.CalibrationNone, Why: "the lowest log loss",
		Candidates: []learn.Candidate{{Algorithm: learn.XGBoost, Hyperparameters: map[string]string{"eta": "0.1"}, LogLoss: .3, AUC: .9, MeanOf: 2, Problem: "a reason"}},
		Mixtures:   []learn.Mixture{{Algorithm: learn.XGBoost, Calibration: learn.CalibrationNone, LogLoss: .3}}},
	Compared:    &modelswap.Compared{Model: "m0", Rows: 9, AUC: learn.Estimate{Value: .01}},
	Suspicion:   &modelswap.Suspicion{AUC: 1, Features: []learn.AloneAUC{{Feature: "age", AUC: 1}}},
	LeftOut:     map[string]int{"coefficients": 3},
	Unavailable: map[string]string{"curve": "a reason"},
}

func (c *contract) faultsOfTheModel() {
	b := c.setup()
	for _, test := range []struct {
		err                error
		status, invocation int
	}{
		{failure.Errorf(failure.Unavailable, "no model serves yet"), 503, 503},
		{failure.Errorf(failure.BadModel, "the model failed"), 502, 424},
		{context.DeadlineExceeded, 504, 424},
		{errTest, 500, 500},
	} {
		b.scorer.Fail(test.err)
		c.good(b, "predict", test.status)
		c.good(b, "predictBatch", test.status)
		c.try(b, test.status, "POST /predict/batch", csvHeader+csvRow, "Content-Type: text/csv")
		c.good(b, "invokeEndpoint", test.invocation)
	}
}

func (c *contract) faultsOfStores() {
	b := c.setup()
	b.store.Fail(errTest)
	c.good(b, "recordOutcomes", 503)
	c.good(c.setup(func(_ *bundle, _ *api.Options, p *parts) { p.ledger = noLedger{} }), "recordOutcomes", 500) // it panics
	for status, err := range map[int]error{
		500: errTest,
		503: failure.Errorf(failure.Unavailable, "the database does not answer"),
		504: context.DeadlineExceeded,
	} {
		for _, operation := range []string{"retrain", "listRenewals", "getRenewal", "renewalEvents", "resumeRenewal", "cancelRenewal", "listModels", "getModel", "rollback", "listActs", "getQuality", "getDrift", "getCorrelations"} {
			b := c.setup()
			b.swap.err = err
			b.sums.Err = err
			if operation == "listActs" {
				b.acts.Fail(err)
			}
			c.good(b, operation, status)
		}
	}
}

// bodiesThatBreakOff sends half of a body, and then stops or closes the connection.
func (c *contract) bodiesThatBreakOff() {
	b := c.setup(withOptions(func(o *api.Options) { o.StreamIdle = 200 * time.Millisecond }))
	slow := httptest.NewUnstartedServer(b.handler)
	slow.Config.ReadTimeout = 200 * time.Millisecond
	slow.Start()
	c.t.Cleanup(slow.Close)
	for _, operation := range []string{"predict", "predictBatch", "recordOutcomes", "retrain", "resumeRenewal", "rollback", "importCustomers"} {
		c.half(slow.Listener.Addr(), operation, false, 408)
		c.half(slow.Listener.Addr(), operation, true, 400)
	}
	c.half(slow.Listener.Addr(), "invokeEndpoint", false, 400)
}

func (c *contract) half(server net.Addr, operation string, end bool, status int) {
	c.t.Helper()
	sent := goodRequests[operation]
	conn, req := c.begin(server, operation, len(sent.body)/2, end)
	defer conn.Close()
	res, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		c.t.Fatalf("%s: %v", operation, err)
	}
	c.check(c.Operations()[operation].Pattern, req, readAnswer(c.t, res), status)
}

// begin sends the first bytes of an operation's good request, by hand.
func (c *contract) begin(server net.Addr, operation string, bytes int, end bool) (net.Conn, *http.Request) {
	c.t.Helper()
	conn, err := net.DialTimeout("tcp", server.String(), time.Minute)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	sent := goodRequests[operation]
	req := c.request(sent.target, sent.body[:bytes], "Content-Type: "+sent.contentType, "Authorization: Bearer "+token)
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n", req.Method, req.URL, len(sent.body))
	_ = req.Header.Write(conn)
	fmt.Fprintf(conn, "\r\n%s", sent.body[:bytes])
	if end {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	return conn, req
}

// A caller who closes its sending side counts as gone. What it must not get is
// an answer that no operation has, such as a 200 without a body.
func TestACallerWhoOnlyListensGetsNoEmptyAnswer(t *testing.T) {
	c := openContract(t)
	b := c.setup(withScorer(untilDone), withOptions(func(o *api.Options) { o.PredictTimeout = time.Minute }))
	server := httptest.NewServer(b.handler)
	t.Cleanup(server.Close)
	conn, _ := c.begin(server.Listener.Addr(), "predict", len(goodRequests["predict"].body), true)
	defer conn.Close()
	if text, err := io.ReadAll(conn); err != nil || len(text) > 0 {
		t.Errorf("%v, %s", err, text)
	}
}

// load sends requests to a gateway whose queue is full.
func (c *contract) load() {
	entered, release := make(chan struct{}), make(chan struct{})
	b := c.setup(withEdge(func(o *edge.Options) { o.MaxInFlight = 1 }), withOptions(func(o *api.Options) { o.PredictTimeout = time.Minute }),
		withScorer(scorerFunc(func(_ context.Context, rows []schema.Vector) (predict.Scores, error) {
			close(entered)
			<-release
			return halves(rows), nil
		})))
	var first sync.WaitGroup
	first.Go(func() { b.post("/predict", `{"features":`+technician+`}`).want(200) })
	defer first.Wait()
	<-entered
	defer close(release)
	for operation, o := range c.Operations() {
		status := 0
		switch {
		case slices.Contains(o.Spec.Tags, "predictions"):
			status = 503
		case operation == "livez", operation == "readyz", operation == "getStatus", operation == "getSchema":
			status = 200 // an overloaded gateway must still be seen
		default:
			continue
		}
		c.good(b, operation, status)
	}
}

// tokens tries every operation that requires a token without one, with a wrong
// one, and with too many wrong ones.
func (c *contract) tokens() {
	b := c.setup()
	for operation, o := range c.Operations() {
		if o.Secured() {
			c.good(b, operation, 401, "Authorization: ")
			c.good(b, operation, 403, "Authorization: Bearer wrong")
		}
	}
	b = c.setup()
	b.edge.SignIns.LimitFailures(1, 0)
	b.do("GET", "/admin/status", "", "Authorization: Bearer wrong").problem(403)
	for operation, o := range c.Operations() {
		if o.Secured() || operation == "metrics" {
			c.good(b, operation, 429, "Authorization: Bearer wrong")
		}
	}
}

// keys tries every operation of apps without a key, with a wrong one, and too often.
func (c *contract) keys() {
	b := c.setup(withAPIKeys(1e-9, "web=the-key"))
	b.store10042()
	c.try(b, 200, "GET /schema", "", "Authorization: ", "X-Api-Key: the-key") // the last for years
	for operation, o := range c.Operations() {
		if o.Spec.Security == nil || o.Secured() || operation == "metrics" {
			continue
		}
		c.good(b, operation, 401, "Authorization: ")
		c.good(b, operation, 403, "Authorization: Bearer wrong")
		c.good(b, operation, 403, "Authorization: Bearer the-key", "X-Api-Key: wrong")
		c.good(b, operation, 429, "Authorization: Bearer the-key")
	}
	for _, operation := range []string{"getOpenAPI", "livez", "readyz", "healthz"} {
		c.good(b, operation, 200, "Authorization: ")
	}
	c.good(b, "getDocs", 307, "Authorization: ")
	c.good(b, "getRoot", 307, "Authorization: ")
}

// nothingElse tries every path with methods that it does not have. The answer
// is that of "default".
func (c *contract) nothingElse() {
	b := c.setup()
	for operation, o := range c.Operations() {
		_, path, _ := strings.Cut(goodRequests[operation].target, " ")
		for _, method := range []string{"DELETE", "OPTIONS"} {
			req := c.request(method+" "+path, "", "Authorization: Bearer "+token)
			a := b.asOperator(method, path, "")
			if a.header.Get("Allow") == "" {
				c.t.Errorf("%s %s: no Allow", method, path)
			}
			c.check(o.Pattern, req, a, 405)
		}
	}
	c.check("/endpoints/{name}/invocations", c.request("GET /endpoints/ServiceEndpoint", ""), b.do("GET", "/endpoints/ServiceEndpoint", ""), 404)
}

// contract is openapi.yaml with the answers that were checked against it.
type contract struct {
	*contracttest.Contract
	t    *testing.T
	text []byte
}

func openContract(t *testing.T) *contract {
	t.Helper()
	text, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return &contract{contracttest.Open(t, text), t, text}
}

// setup is a gateway that serves the document, with what internal/app adds to the status.
func (c *contract) setup(options ...option) *bundle {
	c.t.Helper()
	return setup(c.t, append([]option{func(b *bundle, _ *api.Options, _ *parts) {
		b.deps.OpenAPI = c.text
		failing := time.Now()
		b.deps.Status = func(context.Context) map[string]any {
			return map[string]any{"platform": "local", "customers": map[string]any{"total": 3, "labelled": 2, "demo": 1},
				"breaker": scoring.BreakerStatus{State: "open", Since: &failing, Failures: 20, RetryAfter: .4},
				"secrets": []secrets.State{{Name: "database", ID: "db", Versions: map[secrets.Stage]string{secrets.Current: "2", secrets.Previous: "1"},
					ReadAt: time.Now(), Age: 1.5, FailingSince: &failing, Error: "it does not answer"}}}
		}
	}}, options...)...)
}

func (b *bundle) store10042() {
	b.t.Helper()
	customers := []predict.Customer{{ID: "10042", Features: []byte(technician)}, {ID: "10043", Features: []byte(technician)}}
	if _, _, err := b.store.PutCustomers(b.t.Context(), customers); err != nil {
		b.t.Fatal(err)
	}
}

// good sends the operation's valid request.
func (c *contract) good(b *bundle, operation string, status int, headers ...string) answer {
	c.t.Helper()
	sent := goodRequests[operation]
	return c.try(b, status, sent.target, sent.body, headers...)
}

// try sends a request and checks request and response. Its media type and token are those
// of the operation's good request, unless headers say otherwise.
func (c *contract) try(b *bundle, status int, target, body string, headers ...string) answer {
	c.t.Helper()
	o, err := c.Find(c.request(target, ""))
	if err != nil {
		c.t.Fatalf("%s: %v", target, err)
	}
	all := []string{"Authorization: Bearer " + token}
	if given := goodRequests[o.Spec.OperationID].contentType; given != "" {
		all = append(all, "Content-Type: "+given)
	}
	all = append(all, headers...)
	method, path, _ := strings.Cut(target, " ")
	a := b.do(method, path, body, all...)
	c.check(o.Pattern, c.request(target, body, all...), a, status)
	return a
}

// request checks a request against the document without sending it.
func (c *contract) request(target, body string, headers ...string) *http.Request {
	c.t.Helper()
	method, path, _ := strings.Cut(target, " ")
	return contracttest.NewRequest(c.t, method, path, body, headers...)
}

// check checks a request and its response against the document.
func (c *contract) check(pattern string, req *http.Request, a answer, status int) {
	c.t.Helper()
	c.Check(pattern, req, contracttest.Answer{Status: a.status, Header: a.header, Trailer: a.trailer, Body: a.body}, status)
}
