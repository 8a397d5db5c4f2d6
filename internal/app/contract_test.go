package app

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway/api"
	"gateway/internal/contracttest"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
	"gateway/internal/sandbox"
)

// contractCheck calls a running gateway and checks each answer against the
// openapi.yaml that it serves.
type contractCheck struct {
	*contracttest.Contract
	t       *testing.T
	g       *gatewayUnderTest
	renewal string // the id of one that has ended
}

// checkContract calls every operation of the document on a gateway that has a
// model and an earlier one. Afterwards the earlier one serves. The endpoint is
// made to fail at the end, where the gateway calls one of the stand-in.
func checkContract(t *testing.T, g *gatewayUnderTest, s *sandbox.Server) {
	t.Helper()
	res, err := g.client.HTTP.Get(g.url + "/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	document, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	c := &contractCheck{Contract: contracttest.Open(t, document), t: t, g: g}
	c.documentsAndHealth()
	c.renewals()
	c.predictions()
	c.exports()
	c.refusals()
	c.mutations()
	c.movedDatabase()
	if s != nil {
		c.failingEndpoint(s)
	}
	for operation := range c.Operations() {
		if !c.Called(operation) {
			t.Errorf("%s was never called", operation)
		}
	}
}

// send sends a request with the operator's token and JSON, unless headers say
// otherwise, and checks the answer. It must have one of the statuses, if any
// are given. An operation is called by its id, another target by method and path.
func (c *contractCheck) send(statuses []int, target, body string, headers ...string) contracttest.Answer {
	c.t.Helper()
	method, path, _ := strings.Cut(target, " ")
	pattern := ""
	if o := c.Operations()[target]; o != nil {
		method, path = o.Method, c.path(o)
	}
	headers = append([]string{"Authorization: Bearer " + c.g.client.Token}, headers...)
	if body != "" {
		headers = append([]string{"Content-Type: application/json"}, headers...)
	}
	request := func(url string) *http.Request { return contracttest.NewRequest(c.t, method, url, body, headers...) }
	res, err := c.g.client.HTTP.Transport.RoundTrip(request(c.g.url + path))
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	a := contracttest.Answer{Status: res.StatusCode, Header: res.Header, Trailer: res.Trailer, Body: string(text)}
	for _, o := range c.Operations() { // what has no operation is answered as another of its path says
		if bare, _, _ := strings.Cut(path, "?"); c.path(o) == bare {
			pattern = o.Pattern
		}
	}
	c.Check(cmp.Or(pattern, "/schema"), request(path), a, statuses...)
	return a
}

// path is the path of an operation, with the renewal and the endpoint in it.
func (c *contractCheck) path(o *contracttest.Operation) string {
	return strings.NewReplacer("{id}", cmp.Or(c.renewal, "none"), "{name}", c.g.cfg.EndpointName).Replace(o.Pattern)
}

// examples returns the document's examples of an operation's request body, by
// media type and name.
func (c *contractCheck) examples(operation string) map[string]map[string]string {
	c.t.Helper()
	found := map[string]map[string]string{}
	body := c.Operations()[operation].Spec.RequestBody
	if body == nil {
		return nil
	}
	for mediaType, media := range body.Value.Content {
		found[mediaType] = map[string]string{}
		for name, example := range media.Examples {
			text, isText := example.Value.Value.(string)
			if !isText {
				encoded, err := json.Marshal(example.Value.Value)
				if err != nil {
					c.t.Fatal(err)
				}
				text = string(encoded)
			}
			found[mediaType][name] = text
		}
	}
	return found
}

// sendExamples sends all examples of an operation's request body. Those that
// are named in other get another status.
func (c *contractCheck) sendExamples(operation string, status int, other map[string]int) {
	c.t.Helper()
	for mediaType, examples := range c.examples(operation) {
		for name, body := range examples {
			c.send([]int{cmp.Or(other[name], status)}, operation, body, "Content-Type: "+mediaType)
		}
	}
}

func (c *contractCheck) documentsAndHealth() {
	for _, operation := range []string{"getSchema", "getOpenAPI"} {
		tag := c.send([]int{200}, operation, "").Header.Get("ETag")
		c.send([]int{304}, operation, "", "If-None-Match: "+tag)
	}
	c.send([]int{307}, "getRoot", "")
	c.send([]int{307}, "getDocs", "")
	for _, operation := range []string{"livez", "metrics"} {
		c.send([]int{200}, operation, "")
	}
	c.state("ok", 200)
}

// state checks the pages that tell how the gateway is.
func (c *contractCheck) state(want string, status int) {
	c.t.Helper()
	for _, operation := range []string{"readyz", "healthz"} {
		var page api.Readiness
		a := c.send([]int{status}, operation, "")
		if err := json.Unmarshal([]byte(a.Body), &page); err != nil || page.Status != want {
			c.t.Errorf("%s (%v): %s, want %s", operation, err, a.Body, want)
		}
	}
	a := c.send([]int{200}, "getStatus", "")
	if got := strings.Contains(a.Body, `"state":"degraded"`); got != (want == "degraded") {
		c.t.Errorf("degraded is %t: %s", got, a.Body)
	}
}

func (c *contractCheck) predictions() {
	c.sendExamples("importCustomers", 200, nil)
	header, line, _ := strings.Cut(demoCSV(c.t, 1), "\n")
	id, cells, _ := strings.Cut(line, ",")
	_, cells, _ = strings.Cut(cells, ",")
	c.send([]int{200}, "importCustomers", header+"\n"+id+",340,"+cells, "Content-Type: text/csv") // a bad row
	c.send([]int{422}, "importCustomers", "customer_id,age\n1,34\n", "Content-Type: text/csv")
	c.sendExamples("predict", 200, nil)
	c.sendExamples("predictBatch", 200, nil)
	c.sendExamples("recordOutcomes", 202, map[string]int{"prediction": 404})
	c.sendExamples("invokeEndpoint", 200, map[string]int{"ordinal": 424})

	var p api.Prediction
	a := c.send([]int{200}, "predict", `{"customer_id":"10042","explain":true}`, "Idempotency-Key: contract")
	if err := json.Unmarshal([]byte(a.Body), &p); err != nil {
		c.t.Fatal(err)
	}
	c.send([]int{200}, "predict", `{"customer_id":"10042","explain":true}`, "Idempotency-Key: contract")
	c.send([]int{409}, "predict", `{"customer_id":"10043"}`, "Idempotency-Key: contract")
	c.send([]int{400}, "predict", `{"customer_id":"10043"}`, "Idempotency-Key: two words")
	outcome := `{"prediction_id":"` + p.PredictionID + `","outcome":1}`
	c.send([]int{202}, "recordOutcomes", outcome)
	c.send([]int{202}, "recordOutcomes", outcome)
	c.send([]int{202}, "recordOutcomes", `{"outcomes":[`+outcome+`,{"customer_id":"unknown","outcome":0}]}`)
	for _, operation := range []string{"predict", "recordOutcomes"} {
		c.send([]int{404}, operation, strings.Replace(`{"customer_id":"unknown"}`, "}", map[string]string{"recordOutcomes": `,"outcome":1`}[operation]+"}", 1))
	}
	row := c.examples("invokeEndpoint")["text/csv"]["onehot"]
	for _, form := range []string{"application/json", "application/jsonlines", "text/csv"} {
		c.send([]int{200}, "invokeEndpoint", row, "Content-Type: text/csv", "Accept: "+form)
	}
	c.send([]int{424}, "invokeEndpoint", row, "Content-Type: text/csv", "Accept: image/png")
	c.send([]int{424}, "invokeEndpoint", row)
	c.send([]int{400}, "invokeEndpoint", row, "Content-Type: text/csv", "X-Amzn-SageMaker-Target-Model: another")
	c.send([]int{400}, "POST /endpoints/Elsewhere/invocations", row, "Content-Type: text/csv")
	c.send([]int{413}, "invokeEndpoint", strings.Repeat("1", 6<<20+1), "Content-Type: text/csv")
}

// renewals lets a renewal be rejected, cancels and resumes it, and goes back to
// the model before.
func (c *contractCheck) renewals() {
	for _, operation := range []string{"getRenewal", "renewalEvents", "resumeRenewal", "cancelRenewal"} {
		c.send([]int{404}, operation, "")
	}
	c.startRenewal(`{"reason":"contract","overrides":{"gate":"auc:1"}}`)
	c.send([]int{409}, "retrain", "")
	c.send([]int{200}, "getStatus", "")
	c.send([]int{409}, "resumeRenewal", "")
	c.send([]int{202}, "cancelRenewal", "")
	c.send([]int{200}, "renewalEvents", "")
	c.send([]int{202}, "resumeRenewal", "{}")
	events := c.send([]int{200}, "renewalEvents", "").Body
	last := events[strings.LastIndex(events, "id: ")+len("id: "):]
	last, _, _ = strings.Cut(last, "\n")
	c.send([]int{204}, "renewalEvents", "", "Last-Event-ID: "+last)
	if a := c.send([]int{200}, "getRenewal", ""); !strings.Contains(a.Body, `"status":"rejected"`) {
		c.t.Errorf("the renewal is not rejected: %s", a.Body)
	}
	c.send([]int{409}, "cancelRenewal", "")
	c.send([]int{200}, "listRenewals", "")
	c.send([]int{200}, "GET /admin/renewals?limit=1&before="+c.renewal, "")

	var models api.ModelList
	if err := json.Unmarshal([]byte(c.send([]int{200}, "listModels", "").Body), &models); err != nil {
		c.t.Fatal(err)
	}
	c.send([]int{404}, "getModel", "") // the endpoint's name is no model's
	for _, m := range models.Models {
		c.send([]int{200}, "GET /admin/models/"+m.Name, "")
	}
	c.sendExamples("rollback", 200, map[string]int{"named": 404})
	c.send([]int{200}, "listModels", "")
	c.send([]int{200}, "listActs", "")
}

// startRenewal starts one, and calls what follows about it.
func (c *contractCheck) startRenewal(body string) {
	c.t.Helper()
	var r modelswap.Renewal
	if err := json.Unmarshal([]byte(c.send([]int{202}, "retrain", body).Body), &r); err != nil {
		c.t.Fatal(err)
	}
	c.renewal = r.ID
}

func (c *contractCheck) exports() {
	customers := 200
	if c.g.cfg.CustomersTable != "" {
		customers = 409
	}
	for target, status := range map[string]int{"/admin/customers": customers, "/admin/predictions": 200} {
		for _, query := range []string{"", "?format=csv", "?format=ndjson"} {
			c.send([]int{status}, "GET "+target+query, "")
		}
	}
	c.send([]int{200}, "GET /admin/predictions?from=2026-01-01T00:00:00Z&to=2126-01-01T00:00:00Z", "")
	if a := c.send([]int{200}, "exportTrainingData", ""); strings.Count(a.Body, "\n") < 100 {
		c.t.Errorf("the training data is %q", a.Body)
	}
}

// refusals sends to each operation what it must refuse.
func (c *contractCheck) refusals() {
	for id, o := range c.Operations() {
		c.send([]int{405}, "DELETE "+c.path(o), "")
		if o.Secured() {
			c.send([]int{401}, id, "", "Authorization: ")
			c.send([]int{403}, id, "", "Authorization: Bearer wrong")
		}
		if o.Spec.RequestBody == nil || o.Spec.RequestBody.Value.Content["application/json"] == nil {
			continue
		}
		c.send([]int{400}, id, `{"reason":`)
		c.send([]int{413}, id, `{"reason":"`+strings.Repeat("r", 1<<20)+`"}`)
		c.send([]int{415}, id, `reason=none`, "Content-Type: application/x-www-form-urlencoded")
		c.send([]int{415}, id, `{}`, "Content-Encoding: gzip")
		c.send([]int{422}, id, `{"shoe":44}`)
	}
	for target, status := range map[string]int{
		"GET /admin/renewals?limit=0": 422, "GET /admin/renewals?before=none": 404,
		"GET /admin/audit?limit=101": 422, "GET /admin/audit?before=none": 404,
		"GET /admin/customers?format=parquet": 422, "GET /admin/predictions?from=yesterday": 422,
		"GET /nothing": 404, "GET /admin/nothing": 404, "BREW /nothing": 404,
	} {
		c.send([]int{status}, target, "")
	}
	c.send([]int{422}, "POST /admin/customers?strict=perhaps", "age\n1\n", "Content-Type: text/csv")
	c.send([]int{422}, "importCustomers", "shoe\n1\n", "Content-Type: text/csv")
	c.send([]int{415}, "importCustomers", "[]")
}

// movedDatabase takes the database's file away for a while.
func (c *contractCheck) movedDatabase() {
	file := filepath.Join(c.g.cfg.DataDir, "gateway.db")
	if err := os.Rename(file, file+".moved"); err != nil {
		c.t.Fatal(err)
	}
	c.becomes("degraded")
	c.state("degraded", 200)
	c.send([]int{200}, "predict", c.examples("predict")["application/json"]["features"])
	c.send([]int{503}, "recordOutcomes", c.examples("recordOutcomes")["application/json"]["customer"])
	if err := os.Rename(file+".moved", file); err != nil {
		c.t.Fatal(err)
	}
	c.becomes("ok")
}

// becomes waits until the gateway is in a state.
func (c *contractCheck) becomes(status string) {
	c.t.Helper()
	gatewaytest.Eventually(c.t, "/readyz is "+status, func() bool {
		ready, err := c.g.client.Ready(c.t.Context())
		return err == nil && ready.Status == status
	})
}

// failingEndpoint lets the endpoint fail until the gateway no longer calls it,
// and checks what it answers then.
func (c *contractCheck) failingEndpoint(s *sandbox.Server) {
	defer s.Order("InvokeEndpoint", sandbox.Fault{Kind: sandbox.Unavailable, Times: -1}).Cancel()
	example := c.examples("predict")["application/json"]["features"]
	gatewaytest.Eventually(c.t, "the endpoint is not called", func() bool {
		return strings.Contains(c.send([]int{502, 503}, "predict", example).Body, "calls are suspended")
	})
	c.becomes("degraded")
	c.state("degraded", 200)
	c.send([]int{502, 503}, "predictBatch", c.examples("predictBatch")["text/csv"]["rows"], "Content-Type: text/csv")
	c.send([]int{424, 503}, "invokeEndpoint", c.examples("invokeEndpoint")["text/csv"]["onehot"], "Content-Type: text/csv")
}
