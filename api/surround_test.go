package api_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gateway/api"
	"gateway/api/client"
	"gateway/api/edge"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// everyRoute has a request for each route, and some for paths without a route.
var everyRoute = []struct {
	method, path string
	status       int
}{
	{"GET", "/livez", 200}, {"GET", "/readyz", 200}, {"GET", "/healthz", 200}, {"GET", "/schema", 200},
	{"GET", "/openapi.yaml", 200}, {"GET", "/docs", 307}, {"GET", "/docs/", 200}, {"GET", "/docs/nothing", 404},
	{"GET", "/metrics", 200}, {"GET", "/admin/status", 200}, {"GET", "/admin/models", 200}, {"GET", "/admin/renewals", 200},
	{"GET", "/admin/renewals/none", 404}, {"GET", "/admin/renewals/none/events", 404}, {"POST", "/admin/renewals/none/resume", 404},
	{"POST", "/admin/renewals/none/cancel", 404}, {"POST", "/admin/rollback", 409}, {"GET", "/admin/rollback", 405}, {"POST", "/predict", 415}, {"POST", "/predict/batch", 415}, {"POST", "/outcomes", 415},
	{"POST", "/admin/customers", 415}, {"POST", "/endpoints/ServiceEndpoint/invocations", 424},
	{"GET", "/", 307}, {"GET", "/nothing", 404}, {"GET", "/predict/", 404}, {"GET", "/predict", 405}, {"DELETE", "/schema", 405},
	{"BREW", "/predict", 405}, {"POST", "/livez", 405}, {"PUT", "/admin/renewals/1", 405}, {"OPTIONS", "/predict", 405},
}

func TestEveryAnswerHasTheRequestsId(t *testing.T) {
	b := setup(t)
	for _, r := range everyRoute {
		a := b.asOperator(r.method, r.path, "").want(r.status)
		fresh := a.header.Get("X-Request-Id")
		if len(fresh) != 36 {
			t.Errorf("%s %s: id %q", r.method, r.path, fresh)
		}
		if a.status >= 400 && !strings.HasPrefix(r.path, "/endpoints/") {
			a.problem(r.status)
		}
		if got := b.asOperator(r.method, r.path, "", "X-Request-Id: mine/1~").header.Get("X-Request-Id"); got != "mine/1~" {
			t.Errorf("%s %s: id %q", r.method, r.path, got)
		}
	}
	for _, bad := range []string{"two words", "ümlaut", strings.Repeat("x", 129), ""} {
		if got := b.do("GET", "/livez", "", "X-Request-Id: "+bad).header.Get("X-Request-Id"); len(got) != 36 {
			t.Errorf("%q was taken, or not replaced: %q", bad, got)
		}
	}
	if got := b.do("GET", "/livez", "", "X-Request-Id: "+strings.Repeat("x", 128)).header.Get("X-Request-Id"); len(got) != 128 {
		t.Errorf("got %q", got)
	}
}

func TestMethods(t *testing.T) {
	b := setup(t)
	for _, r := range everyRoute {
		switch {
		case r.status == 405:
			a := b.asOperator(r.method, r.path, "")
			if a.problem(405); a.header.Get("Allow") == "" {
				t.Errorf("%s %s: no Allow", r.method, r.path)
			}
		case r.method == "GET" && r.status < 400:
			if a := b.asOperator("HEAD", r.path, "").want(r.status); a.body != "" {
				t.Errorf("HEAD %s: body %q", r.path, a.body)
			}
		}
	}
	if got := b.do("GET", "/predict", "").header.Get("Allow"); got != "POST" {
		t.Errorf("allow %q", got)
	}
	if got := b.do("POST", "/schema", "").header.Get("Allow"); got != "GET, HEAD" {
		t.Errorf("allow %q", got)
	}
}

func TestHealthOverHTTP(t *testing.T) {
	failing := func(context.Context) error { return errors.New("db.internal refuses") }
	for _, test := range []struct {
		required bool
		status   int
		want     string
	}{{true, 503, "unavailable"}, {false, 200, "degraded"}} {
		b := setup(t, func(b *bundle, _ *api.Options, _ *parts) {
			b.deps.Dependencies = []api.Dependency{{Name: "database", Required: test.required, Check: failing}}
		})
		for _, path := range []string{"/readyz", "/healthz"} {
			var r api.Readiness
			a := b.do("GET", path, "").want(test.status).decode(&r)
			if r.Status != test.want || r.Dependencies["database"].State != test.want || r.Dependencies["database"].Since == nil {
				t.Errorf("got %s", a.body)
			}
			if a.header.Get("Cache-Control") != "no-store" || strings.Contains(a.body, "db.internal") {
				t.Errorf("got %v %s", a.header, a.body)
			}
		}
		if ready, err := b.client.Ready(t.Context()); err != nil || ready.Status != test.want {
			t.Errorf("the client got %+v, %v", ready, err)
		}
		if a := b.do("GET", "/livez", "").want(200); strings.TrimSpace(a.body) != `{"status":"ok"}` {
			t.Errorf("got %s", a.body)
		}
	}
}

func TestErrorsOfTheModel(t *testing.T) {
	b := setup(t)
	body := `{"features":` + technician + `}`
	b.scorer.Fail(&failure.Error{Kind: failure.Unavailable, Detail: "no model serves yet"})
	if a := b.post("/predict", body); a.problem(503).Detail != "no model serves yet" || a.header.Get("Retry-After") != "1" {
		t.Errorf("retry after %q", a.header.Get("Retry-After"))
	}
	b.scorer.Fail(errTest)
	if p := b.post("/predict", body).problem(500); p.Detail != "" {
		t.Errorf("detail %q", p.Detail)
	}
	if !strings.Contains(b.logs.String(), errTest.Error()) {
		t.Error("the cause is not in the log")
	}
	b.scorer.Fail(nil)
	b.scorer.Change = func(s *predict.Scores) { s.Score[0] /= 0 * s.Score[0] }
	b.post("/predict", body).problem(502)

	slow := setup(t, withOptions(func(o *api.Options) { o.PredictTimeout = time.Millisecond }), withScorer(untilDone))
	slow.post("/predict", body).problem(504)
	slow.post("/predict/batch", `{"instances":[`+body+`]}`).problem(504)
}

func TestAPanicIsAProblem(t *testing.T) {
	b := setup(t, withScorer(scorerFunc(func(context.Context, []schema.Vector) (predict.Scores, error) { panic("a fault") })))
	if p := b.post("/predict", `{"features":`+technician+`}`).problem(500); p.Detail != "" {
		t.Errorf("detail %q", p.Detail)
	}
	if log := b.logs.String(); !strings.Contains(log, "panic: a fault") || !strings.Contains(log, "surround_test.go") || strings.Count(log, "\n") != 1 {
		t.Errorf("the log has %s", log)
	}
	b.do("GET", "/livez", "").want(200)
}

func TestLoadIsShed(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	b := setup(t, withEdge(func(o *edge.Options) { o.MaxInFlight = 1 }),
		withScorer(scorerFunc(func(_ context.Context, rows []schema.Vector) (predict.Scores, error) {
			entered <- struct{}{}
			<-release
			return halves(rows), nil
		})))
	body := `{"features":` + technician + `}`
	first := make(chan error)
	go func() {
		res, err := http.Post(b.url+"/predict", "application/json", strings.NewReader(body))
		if err == nil {
			res.Body.Close()
		}
		first <- err
	}()
	<-entered
	if a := b.post("/predict", body); a.problem(503).Detail == "" || a.header.Get("Retry-After") != "1" {
		t.Errorf("retry after %q", a.header.Get("Retry-After"))
	}
	b.do("GET", "/livez", "").want(200)
	b.do("GET", "/readyz", "").want(200)
	b.asOperator("GET", "/admin/status", "").want(200)
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	go func() { <-entered }()
	b.post("/predict", body).want(200)
}

func TestACallerWhoGoesAwayIsNoError(t *testing.T) {
	entered := make(chan struct{})
	b := setup(t, withScorer(scorerFunc(func(ctx context.Context, _ []schema.Vector) (predict.Scores, error) {
		close(entered)
		<-ctx.Done()
		return predict.Scores{}, ctx.Err()
	})), withOptions(func(o *api.Options) { o.PredictTimeout = time.Minute }))
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		var features map[string]any
		_ = json.Unmarshal([]byte(technician), &features)
		_, err := b.client.Predict(ctx, api.PredictionRequest{Features: features})
		done <- err
	}()
	<-entered
	leave()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	b.logs.await(t, `"status":499`)
	if strings.Contains(b.logs.String(), `"level":"ERROR"`) {
		t.Errorf("the log has %s", b.logs.String())
	}
}

func TestCORS(t *testing.T) {
	b := setup(t, withEdge(func(o *edge.Options) { o.CORSOrigins = []string{"https://shop.example"} }))
	preflight := b.do("OPTIONS", "/predict", "", "Origin: https://shop.example", "Access-Control-Request-Method: POST").want(204)
	for name, want := range map[string]string{"Access-Control-Allow-Origin": "https://shop.example",
		"Access-Control-Allow-Methods": "GET, HEAD, POST", "Vary": "Origin"} {
		if got := preflight.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if a := b.do("GET", "/schema", "", "Origin: https://shop.example").want(200); a.header.Get("Access-Control-Allow-Origin") != "https://shop.example" ||
		!strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "X-Request-Id") {
		t.Errorf("got %v", a.header)
	}
	for _, a := range []answer{
		b.do("GET", "/schema", "", "Origin: https://evil.example"),
		b.do("OPTIONS", "/predict", "", "Origin: https://evil.example", "Access-Control-Request-Method: POST").want(405),
		b.do("OPTIONS", "/admin/status", "", "Origin: https://shop.example", "Access-Control-Request-Method: GET").want(401),
	} {
		if got := a.header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("allowed %q", got)
		}
	}
	if got := b.do("GET", "/schema", "").header.Get("Vary"); got != "Origin" {
		t.Errorf("vary %q", got)
	}
	if a := setup(t).do("GET", "/schema", "", "Origin: https://shop.example"); a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Vary") != "" {
		t.Errorf("without origins: %v", a.header)
	}
}

func TestSchemaAndDocuments(t *testing.T) {
	b := setup(t)
	a := b.do("GET", "/schema", "").want(200)
	if a.header.Get("Content-Type") != "application/schema+json" || !strings.Contains(a.body, `"additionalProperties": false`) ||
		a.header.Get("X-Schema-Fingerprint") != b.deps.Predict.Schema().Fingerprint() {
		t.Errorf("got %v %s", a.header, a.body)
	}
	tag := a.header.Get("ETag")
	for _, header := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
		if again := b.do("GET", "/schema", "", "If-None-Match: "+header).want(304); again.body != "" {
			t.Errorf("304 with a body")
		}
	}
	b.do("GET", "/schema", "", `If-None-Match: "other"`).want(200)
	if a := b.do("GET", "/openapi.yaml", "").want(200); a.header.Get("Content-Type") != "application/yaml" || a.body != "openapi: 3.1.0\n" {
		t.Errorf("got %v %s", a.header, a.body)
	}
}

func TestDocsLoadNothingFromElsewhere(t *testing.T) {
	b := setup(t)
	for _, path := range []string{"/", "/docs"} {
		if a := b.do("GET", path, "").want(307); a.header.Get("Location") != "docs/" {
			t.Errorf("%s: location %q", path, a.header.Get("Location"))
		}
	}
	page := b.do("GET", "/docs/", "").want(200)
	if strings.Contains(page.body, "://") || strings.Contains(page.body, "<script>") || !strings.Contains(page.header.Get("Content-Security-Policy"), "script-src 'self'") {
		t.Errorf("got %v %s", page.header, page.body)
	}
	for _, part := range strings.Split(page.body, `"`) {
		if strings.HasSuffix(part, ".js") || strings.HasSuffix(part, ".css") || strings.HasSuffix(part, ".png") {
			if asset := b.do("GET", "/docs/"+part, "").want(200); len(asset.body) < 100 {
				t.Errorf("%s has %d bytes", part, len(asset.body))
			}
		}
	}
	b.do("GET", "/docs/swagger-ui.js.gz", "").problem(404)
}

func TestMetrics(t *testing.T) {
	b := setup(t)
	b.post("/predict", `{"features":`+technician+`}`).want(200)
	b.post("/predict", `{}`).want(422)
	b.do("GET", "/who/10042", "").want(404)
	b.do("BREW", "/predict", "").want(405)
	a := b.asOperator("GET", "/metrics", "").want(200)
	for _, want := range []string{
		`gateway_http_requests_total{code="200",method="POST",route="/predict"} 1`,
		`gateway_http_requests_total{code="422",method="POST",route="/predict"} 1`,
		`gateway_http_requests_total{code="404",method="GET",route="unmatched"} 1`,
		`gateway_http_requests_total{code="405",method="other",route="unmatched"} 1`,
		`gateway_http_request_seconds_count{class="4xx",method="POST",route="/predict"} 1`,
		`gateway_http_requests_in_flight 1`,
	} {
		if !strings.Contains(a.body, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	faults, err := testutil.GatherAndLint(b.deps.Registry, "gateway_http_requests_total", "gateway_http_request_seconds", "gateway_http_requests_in_flight")
	if err != nil || len(faults) > 0 {
		t.Errorf("%v, %v", faults, err)
	}
}

func TestTheLogHoldsNothingThatIsPersonalOrSecret(t *testing.T) {
	b := setup(t)
	const secret = "7731777"
	marked := with("euribor3m", secret)
	for _, body := range []string{
		`{"features":` + marked + `}`, `{"customer_id":"` + secret + `"}`, `{"` + secret + `":1}`, `{"features":` + with("age", secret) + `}`,
		`{"features":` + with("job", `"`+secret+`"`) + `}`, `{"features":{"` + secret + `":1}}`, `{"x":` + secret + secret + `q}`, `[` + secret + `,`,
	} {
		b.post("/predict?customer="+secret, body)
		b.post("/predict/batch", `{"instances":[`+body+`]}`)
		b.post("/outcomes", body)
		b.stream("application/x-ndjson", body)
		b.asOperator("POST", "/admin/retrain?x="+secret, body, "Content-Type: application/json")
		b.asOperator("POST", "/admin/customers", body, "Content-Type: application/x-ndjson")
	}
	b.stream("text/csv", secret+"\n"+secret)
	b.stream("text/csv", csvHeader+strings.Replace(csvRow, "34", secret, 1))
	b.invoke(servingRow(secret + "x"))
	b.do("GET", "/"+secret, "")
	b.do("GET", "/admin/renewals/"+secret, "", "Authorization: Bearer "+secret)
	b.asOperator("GET", "/admin/renewals/"+secret+"?before="+secret, "")
	b.do("POST", "/endpoints/"+secret+"/invocations", "", "Content-Type: text/csv")
	b.do(secret, "/predict", "", "Authorization: Basic "+secret)
	log := b.logs.String()
	for _, line := range strings.Split(log, "\n") {
		if strings.Contains(line, secret) || strings.Contains(line, token) {
			t.Errorf("the log has %s", line)
		}
	}
	if strings.Count(log, `"msg":"request"`) < 50 {
		t.Errorf("the log has only %s", log)
	}
}

func TestOneLineInTheLogForEachRequest(t *testing.T) {
	b := setup(t)
	b.post("/predict", `{"features":`+technician+`}`, "X-Request-Id: r1").want(200)
	line := b.logs.String()
	for _, want := range []string{`"level":"INFO"`, `"msg":"request"`, `"request_id":"r1"`, `"method":"POST"`, `"route":"/predict"`,
		`"status":200`, `"latency_us":`, `"bytes":`, `"rows":1`, `"model":"m1"`} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	if strings.Count(line, "\n") != 1 || strings.Contains(line, `"error"`) {
		t.Errorf("got %s", line)
	}
}

func TestASlowBodyIs408(t *testing.T) {
	b := setup(t)
	server := &http.Server{Handler: b.handler, ReadTimeout: 50 * time.Millisecond}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "POST /predict HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	text, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 408 ") || !strings.Contains(string(text), "urn:gateway:problem:slow-body") {
		t.Errorf("%v, %s", err, text)
	}
}

func TestTheClientUnderstandsWhatIsNoProblem(t *testing.T) {
	b := setup(t)
	c := &client.Client{BaseURL: b.url + "/", HTTP: &http.Client{Transport: roundTrip(func(*http.Request) *http.Response {
		return &http.Response{StatusCode: 502, Header: http.Header{"X-Request-Id": {"7"}}, Body: io.NopCloser(strings.NewReader("<html>"))}
	})}}
	_, err := c.Models(t.Context())
	var p *edge.Problem
	if !errors.As(err, &p) || p.Status != 502 || p.Title != "Bad Gateway" || p.RequestID != "7" {
		t.Errorf("got %v", err)
	}
	if _, err := b.client.Outcomes(t.Context(), []api.Outcome{{CustomerID: "nobody", Outcome: 1}}); err != nil {
		t.Error(err)
	}
	if _, err := b.client.Outcome(t.Context(), api.Outcome{CustomerID: "nobody", Outcome: 1}); !errors.As(err, &p) || p.Status != 404 {
		t.Errorf("got %v", err)
	}
}

type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }
