package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/callctx"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// withAPIKeys makes apps need one of some keys, given as name=key.
func withAPIKeys(rate float64, keys ...string) option {
	return func(b *bundle, _ *api.Options, p *parts) {
		p.edge.KeyRate = rate
		var all []edge.Token
		for _, text := range keys {
			name, value, _ := strings.Cut(text, "=")
			all = append(all, edge.Token{Name: name, Value: value})
		}
		b.edge.APIKeys = func() []edge.Token { return all }
	}
}

var appsRoutes = map[string]struct{ body, contentType string }{
	"POST /predict":       {`{"features":` + technician + `}`, "application/json"},
	"POST /predict/batch": {`{"instances":[{"features":` + technician + `}]}`, "application/json"},
	"POST /outcomes":      {`{"customer_id":"10042","outcome":1}`, "application/json"},
	"GET /schema":         {"", ""},
}

func TestAppsNeedAKeyWhereThereAreKeys(t *testing.T) {
	b := setup(t, withAPIKeys(0, "web=key-1", "mobile=key-2"))
	b.store10042()
	for route, sent := range appsRoutes {
		method, path, _ := strings.Cut(route, " ")
		do := func(headers ...string) answer {
			return b.do(method, path, sent.body, append(headers, "Content-Type: "+sent.contentType)...)
		}
		for _, header := range []string{"X-None: 1", "Authorization: Bearer ", "Authorization: key-1", "Authorization: Basic key-1", "X-Api-Key: "} {
			if a := do(header); a.problem(401).Detail == "" || a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %q does not say what is wanted", route, header)
			}
		}
		for _, wrong := range []string{"key-3", "key-", "key-11", "KEY-1", token} {
			do("X-Api-Key: " + wrong).problem(403)
			do("Authorization: Bearer " + wrong).problem(403)
		}
		for _, right := range []string{"X-Api-Key: key-1", "Authorization: Bearer key-2", "Authorization: bearer key-1"} {
			if a := do(right); a.status >= 300 {
				t.Errorf("%s with %q: status %d: %s", route, right, a.status, a.body)
			}
		}
		if a := do("X-Api-Key: key-2", "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/x, Signature=y"); a.status >= 300 {
			t.Errorf("%s with a signature and a key: status %d", route, a.status)
		}
	}
	b.do("GET", "/openapi.yaml", "").want(200)
	b.do("GET", "/readyz", "").want(200)
	b.do("GET", "/admin/status", "", "X-Api-Key: key-1").problem(401) // a key is no token
	b.do("GET", "/admin/status", "", "Authorization: Bearer key-1").problem(403)
	b.do("OPTIONS", "/predict", "", "Origin: https://shop.example", "Access-Control-Request-Method: POST").want(405)
}

func TestAnAppsPreflightNeedsNoKey(t *testing.T) {
	b := setup(t, withAPIKeys(0, "web=key-1"), withEdge(func(o *edge.Options) { o.CORSOrigins = []string{"https://shop.example"} }))
	a := b.do("OPTIONS", "/predict", "", "Origin: https://shop.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x-api-key")
	if a.want(204); !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "X-Api-Key") {
		t.Errorf("allowed headers are %q", a.header.Get("Access-Control-Allow-Headers"))
	}
}

func TestInvocationsWithoutAKeyAreRefusedAsAWSWould(t *testing.T) {
	b := setup(t, withAPIKeys(1e-9, "web=key-1"))
	const path = "/endpoints/ServiceEndpoint/invocations"
	signature := "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261126/eu-central-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0"
	b.do("POST", path, servingRow("34"), "Content-Type: text/csv", signature, "X-Api-Key: key-1").want(200)
	for header, want := range map[string]struct {
		status int
		code   string
	}{
		signature:           {401, "MissingAuthenticationTokenException"},
		"X-Api-Key: wrong":  {403, "AccessDeniedException"},
		"X-Api-Key: key-1":  {429, "ThrottlingException"},
		"X-Api-Key: \tkey1": {403, "AccessDeniedException"},
	} {
		a := b.do("POST", path, servingRow("34"), "Content-Type: text/csv", header)
		var body struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != want.status || body.Type != want.code ||
			a.header.Get("X-Amzn-ErrorType") != want.code || body.Message == "" {
			t.Errorf("%.20s: status %d, %s (%v), want %d and %s", header, a.status, a.body, err, want.status, want.code)
		}
	}
}

func TestTheNameOfAKeyIsKnownInsideAndTheKeyNowhere(t *testing.T) {
	var caller atomic.Value
	b := setup(t, withAPIKeys(0, "web=very-secret-key", "=very-secret-too"), withScorer(scorerFunc(
		func(ctx context.Context, rows []schema.Vector) (predict.Scores, error) {
			caller.Store(callctx.Caller(ctx))
			return halves(rows), nil
		})))
	b.post("/predict", `{"features":`+technician+`}`, "X-Api-Key: very-secret-key").want(200)
	if got := caller.Load(); got != "web" {
		t.Errorf("the service is called by %q, want web", got)
	}
	b.logs.await(t, `"api_key":"web"`)
	b.post("/predict", `{"features":`+technician+`}`, "X-Api-Key: very-secret-key-wrong").problem(403)
	metrics := b.asOperator("GET", "/metrics", "").body
	if !strings.Contains(metrics, `gateway_api_key_requests_total{code="200",key="web"} 1`) {
		t.Error("the metrics do not count the key's request")
	}
	if strings.Contains(b.logs.String()+metrics, "very-secret") {
		t.Error("a key is in the log or the metrics")
	}
}

func TestTheNamesOfKeysInTheMetricsAreBounded(t *testing.T) {
	name := ""
	b := setup(t, func(b *bundle, _ *api.Options, _ *parts) {
		b.edge.APIKeys = func() []edge.Token { return []edge.Token{{Name: name, Value: "k"}} }
	})
	for i := range 210 {
		name = fmt.Sprint("key-", i)
		b.do("GET", "/schema", "", "X-Api-Key: k").want(200)
	}
	metrics := b.asOperator("GET", "/metrics", "").body
	if n := strings.Count(metrics, "gateway_api_key_requests_total{"); n != 201 || !strings.Contains(metrics, `key="other"} 10`) {
		t.Errorf("there are %d series, want 200 names and the others together", n)
	}
}

func TestEachKeyHasARateOfItsOwn(t *testing.T) {
	b := setup(t, withAPIKeys(3.0/3600, "web=key-1", "mobile=key-2", "web=key-1-before"))
	for _, key := range []string{"key-1", "key-2"} {
		b.do("GET", "/schema", "", "X-Api-Key: "+key).want(200)
		a := b.do("GET", "/schema", "", "X-Api-Key: "+key)
		if p := a.problem(429); p.Type != "urn:gateway:problem:too-many-requests" || a.header.Get("Retry-After") != "1200" {
			t.Errorf("got %+v, Retry-After %q, want twenty minutes", p, a.header.Get("Retry-After"))
		}
	}
	b.do("GET", "/schema", "", "X-Api-Key: key-1-before").problem(429) // the same app
	b.do("GET", "/schema", "", "X-Api-Key: wrong").problem(403)
	b.do("GET", "/openapi.yaml", "").want(200)
}

func TestASecondsWorthMayComeAtOnce(t *testing.T) {
	b := setup(t, withAPIKeys(0.001+20, "web=key-1"))
	refused := 0
	for range 60 {
		if b.do("GET", "/schema", "", "X-Api-Key: key-1").status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused > 60-21 {
		t.Errorf("%d of 60 requests were refused, although 21 may come at once", refused)
	}
}

// A new token works at once, although the secret has not been read again yet.
func TestUnknownTokensAreLookedForBeforeTheyAreRefused(t *testing.T) {
	var looks atomic.Int32
	known := atomic.Pointer[[]edge.Token]{}
	known.Store(&[]edge.Token{{Name: "ops", Value: "old"}})
	list := func() []edge.Token { return *known.Load() }
	look := func(ctx context.Context) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the look has no deadline")
		}
		if looks.Add(1) == 2 {
			known.Store(&[]edge.Token{{Name: "ops", Value: "new"}, {Name: "ops", Value: "old"}})
		}
	}
	b := setup(t, func(b *bundle, _ *api.Options, _ *parts) {
		b.edge.Tokens, b.edge.RenewTokens, b.edge.APIKeys, b.edge.RenewAPIKeys = list, look, list, look
	})
	b.do("GET", "/admin/models", "", "Authorization: Bearer old").want(200)
	b.do("GET", "/admin/models", "", "Authorization: Bearer new").problem(403)
	b.do("GET", "/admin/models", "", "Authorization: Bearer new").want(200)
	b.do("GET", "/schema", "", "X-Api-Key: newer").problem(403)
	b.do("GET", "/schema", "", "X-Api-Key: old").want(200)
	if n := looks.Load(); n != 3 {
		t.Errorf("there were %d looks, want one for each unknown token", n)
	}
}

// Two apps may happen to choose the same Idempotency-Key; neither may get the
// other's answer.
func TestAnIdempotencyKeyBelongsToTheAppThatSentIt(t *testing.T) {
	b := setup(t, withAPIKeys(0, "web=key-1", "mobile=key-2", "web=key-1-before"), withKeys(sqliteKeys(t)))
	ask := func(key string) (p api.Prediction) {
		t.Helper()
		b.post("/predict", `{"features":`+technician+`}`, "X-Api-Key: "+key, "Idempotency-Key: order-1").want(200).decode(&p)
		return p
	}
	web, mobile := ask("key-1"), ask("key-2")
	if web.PredictionID == mobile.PredictionID {
		t.Error("one app got another's answer")
	}
	if again := ask("key-1"); again.PredictionID != web.PredictionID {
		t.Error("a repetition was handled anew")
	}
	if again := ask("key-1-before"); again.PredictionID != web.PredictionID {
		t.Error("after a rotation a repetition was handled anew")
	}
}
