package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"gateway/api"
	"gateway/internal/failure"
	"gateway/internal/modelswap"
	"gateway/internal/predict"
	"gateway/internal/schema"

	"github.com/go-json-experiment/json"
)

// servingRow is a row in the serving columns, with age as given.
func servingRow(age string) string {
	return age + strings.Repeat(",0", schema.Bank().Width()-1)
}

func (b *bundle) invoke(body string, headers ...string) answer {
	b.t.Helper()
	return b.do("POST", "/endpoints/ServiceEndpoint/invocations", body, append([]string{"Content-Type: text/csv"}, headers...)...)
}

// awsError checks that the response is an error in the AWS envelope.
func (a answer) awsError(status int, code string) map[string]any {
	a.t.Helper()
	a.want(status)
	var e map[string]any
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
	if e["__type"] != code || a.header.Get("X-Amzn-ErrorType") != code {
		a.t.Errorf("%v and %q, want %s", e["__type"], a.header.Get("X-Amzn-ErrorType"), code)
	}
	if e["message"] == "" || e["message"] != e["Message"] || a.header.Get("X-Amzn-RequestId") != a.header.Get("X-Request-Id") {
		a.t.Errorf("an incomplete error: %s", a.body)
	}
	return e
}

func TestInvocations(t *testing.T) {
	b := setup(t)
	for _, contentType := range []string{"text/csv", "text/csv; label_size=0", "text/csv;charset=utf-8"} {
		a := b.invoke(servingRow("75")+"\r\n"+servingRow("12.5")+"\n", "Content-Type: "+contentType).want(200)
		if a.body != `{"predictions":[{"score":0.75,"predicted_label":1.0},{"score":0.125,"predicted_label":0.0}]}` {
			t.Errorf("got %s", a.body)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json", "X-Amzn-Invoked-Production-Variant": modelswap.Variant,
			"X-Amzn-Sagemaker-Custom-Attributes": "model=m1", "X-Amzn-Requestid": a.header.Get("X-Request-Id"),
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
	if n := len(b.store.Predictions()); n != 0 {
		t.Errorf("%d rows are in the ledger", n)
	}
}

func TestErrorsOfInvocationsAreThoseOfAWS(t *testing.T) {
	b := setup(t)
	model := func(a answer, original float64) {
		t.Helper()
		if e := a.awsError(424, "ModelError"); e["OriginalStatusCode"] != original || e["OriginalMessage"] == "" {
			t.Errorf("got %s", a.body)
		}
	}
	model(b.invoke(servingRow("34,1")), 400)
	model(b.invoke(servingRow("34")+"\n"+servingRow("x")), 400)
	model(b.invoke(servingRow("34")+"\n\n"+servingRow("34")), 400)
	model(b.invoke(""), 400)
	model(b.invoke(servingRow("NaN")), 400)
	model(b.invoke(`{}`, "Content-Type: application/json"), 415)
	model(b.invoke(servingRow("34"), "Content-Encoding: gzip"), 415)
	b.invoke(strings.Repeat("1", 7<<20)).awsError(413, "ValidationError")
	e := b.do("POST", "/endpoints/Other/invocations", servingRow("34"), "Content-Type: text/csv").awsError(400, "ValidationError")
	if e["message"] != "Endpoint Other of account 000000000000 not found." {
		t.Errorf("got %v", e["message"])
	}
	b.do("GET", "/endpoints/ServiceEndpoint", "").awsError(404, "UnknownOperationException")
	if a := b.do("GET", "/endpoints/ServiceEndpoint/invocations", ""); a.awsError(405, "UnknownOperationException") == nil || a.header.Get("Allow") != "POST" {
		t.Errorf("allow %q", a.header.Get("Allow"))
	}
	b.scorer.Fail(&failure.Error{Kind: failure.Unavailable, Detail: "no model serves yet", RetryAfter: 2 * time.Second})
	if a := b.invoke(servingRow("34")); a.awsError(503, "ServiceUnavailable") == nil || a.header.Get("Retry-After") != "2" {
		t.Errorf("retry after %q", a.header.Get("Retry-After"))
	}
	b.scorer.Fail(failure.Errorf(failure.BadModel, "the model failed"))
	model(b.invoke(servingRow("34")), 500)
	b.scorer.Fail(errTest)
	b.invoke(servingRow("34")).awsError(500, "InternalFailure")

	slow := setup(t, withOptions(func(o *api.Options) { o.PredictTimeout = time.Millisecond }), withScorer(untilDone))
	model(slow.invoke(servingRow("34")), 0)
	broken := setup(t, withScorer(scorerFunc(func(context.Context, []schema.Vector) (predict.Scores, error) { panic("a fault") })))
	broken.invoke(servingRow("34")).awsError(500, "InternalFailure")
}

// untilDone is a model that returns when its context ends.
var untilDone = scorerFunc(func(ctx context.Context, _ []schema.Vector) (predict.Scores, error) {
	<-ctx.Done()
	return predict.Scores{}, ctx.Err()
})
