package api_test

import (
	"regexp"
	"strings"
	"testing"

	"gateway/api/edge"
)

func TestInvocationsAnswerInTheFormThatIsAccepted(t *testing.T) {
	b := setup(t)
	const (
		asJSONText = `{"predictions":[{"score":0.75,"predicted_label":1.0},{"score":0.125,"predicted_label":0.0}]}`
		asLines    = `{"score":0.75,"predicted_label":1.0}` + "\n" + `{"score":0.125,"predicted_label":0.0}` + "\n"
		asCSV      = "0.75\n0.125\n"
	)
	for accept, want := range map[string][2]string{
		"":                                       {"application/json", asJSONText},
		"*/*":                                    {"application/json", asJSONText},
		"application/json":                       {"application/json", asJSONText},
		"application/*":                          {"application/json", asJSONText},
		"Application/JSON;x=1":                   {"application/json", asJSONText},
		"application/jsonlines":                  {"application/jsonlines", asLines},
		"text/csv":                               {"text/csv; charset=utf-8", asCSV},
		"text/*;q=0.5":                           {"text/csv; charset=utf-8", asCSV},
		"text/csv;q=0.4, */*;q=.8":               {"application/json", asJSONText},
		"text/csv, application/json;q=0.9":       {"text/csv; charset=utf-8", asCSV},
		"application/json;q=0, */*":              {"application/jsonlines", asLines},
		"image/png, application/jsonlines;q=0.1": {"application/jsonlines", asLines},
		"application/x-recordio-protobuf, text/csv;q=1": {"text/csv; charset=utf-8", asCSV},
	} {
		headers := []string{"Accept: " + accept}
		if accept == "" {
			headers = nil
		}
		a := b.invoke(servingRow("75")+"\n"+servingRow("12.5"), headers...).want(200)
		if got := a.header.Get("Content-Type"); got != want[0] || a.body != want[1] {
			t.Errorf("Accept %q: got %s %q, want %s %q", accept, got, a.body, want[0], want[1])
		}
	}
	for _, accept := range []string{"image/png", "application/x-recordio-protobuf", "application/json;q=0", "nonsense"} {
		if e := b.invoke(servingRow("75"), "Accept: "+accept).awsError(424, "ModelError"); e["OriginalStatusCode"] != 406.0 {
			t.Errorf("Accept %q: got %v, want status 406 of the model", accept, e)
		}
	}
}

func TestInvocationsOfATargetThatIsNotThere(t *testing.T) {
	b := setup(t)
	b.invoke(servingRow("75"), "X-Amzn-SageMaker-Target-Variant: AllTraffic").want(200)
	for header, want := range map[string]string{
		"X-Amzn-SageMaker-Target-Variant: Other":     `no variant "Other"`,
		"X-Amzn-SageMaker-Target-Model: m1.tar.gz":   `no target model "m1.tar.gz"`,
		"X-Amzn-SageMaker-Inference-Component: part": `no inference component "part"`,
	} {
		e := b.invoke(servingRow("75"), header).awsError(400, "ValidationError")
		if text, _ := e["message"].(string); !strings.Contains(text, want) {
			t.Errorf("%s: got %q, want %q", header, text, want)
		}
	}
}

func TestUTF8HasTwoSpellings(t *testing.T) {
	b := setup(t)
	for _, charset := range []string{"utf8", "UTF-8", "utf-8", "US-ASCII"} {
		b.do("POST", "/predict", `{"features":`+technician+`}`, "Content-Type: application/json; charset="+charset).want(200)
	}
	b.do("POST", "/predict", `{"features":`+technician+`}`, "Content-Type: application/json; charset=latin1").problem(415)
}

func TestAByteOrderMarkIsIgnored(t *testing.T) {
	b := setup(t)
	const mark = "\ufeff"
	b.do("POST", "/predict", mark+`{"features":`+technician+`}`, asJSON).want(200)
	b.do("POST", "/predict/batch", mark+`{"instances":[{"features":`+technician+`}]}`, asJSON).want(200)
	b.do("POST", "/predict", mark, asJSON).problem(400)
	b.do("POST", "/predict", mark+mark+`{"features":`+technician+`}`, asJSON).problem(400)
	for _, body := range []string{`{"features":` + technician + "}\n", mark + `{"features":` + technician + "}\n"} {
		a := b.do("POST", "/predict/batch", body, "Content-Type: application/x-ndjson").want(200)
		if !strings.Contains(a.body, `"score"`) || strings.Contains(a.body, "error") {
			t.Errorf("got %s", a.body)
		}
	}
}

func TestMethodsThatNoRouteHas(t *testing.T) {
	b := setup(t)
	for _, request := range []string{"BREW /nowhere", "BREW /predict/nowhere", "PROPFIND /", "TRACE /nowhere"} {
		method, path, _ := strings.Cut(request, " ")
		a := b.do(method, path, "")
		if path == "/" {
			if a.problem(405); a.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s: Allow %q", request, a.header.Get("Allow"))
			}
			continue
		}
		a.problem(404)
	}
	if a := b.do("BREW", "/predict", ""); a.problem(405).Detail == "" || a.header.Get("Allow") != "POST" {
		t.Errorf("Allow %q", a.header.Get("Allow"))
	}
}

func TestDocumentsAndAssetsCanBeKept(t *testing.T) {
	b := setup(t)
	quoted := regexp.MustCompile(`^"[^"]+"$`)
	for _, path := range []string{"/schema", "/openapi.yaml", "/docs/", "/docs/page.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/favicon-32x32.png"} {
		a := b.do("GET", path, "", "Accept-Encoding: identity").want(200)
		tag := a.header.Get("ETag")
		if !quoted.MatchString(tag) || a.header.Get("Cache-Control") == "" || len(a.body) == 0 {
			t.Errorf("%s: tag %s, Cache-Control %q, %d bytes", path, tag, a.header.Get("Cache-Control"), len(a.body))
		}
		for _, value := range []string{tag, "W/" + tag, `"a,b", ` + tag, "*"} {
			b.do("GET", path, "", "If-None-Match: "+value, "Accept-Encoding: identity").want(304)
		}
		for _, value := range []string{`"other"`, strings.Trim(tag, `"`), `"x` + tag[1:]} {
			b.do("GET", path, "", "If-None-Match: "+value, "Accept-Encoding: identity").want(200)
		}
		if head := b.do("HEAD", path, "", "Accept-Encoding: identity").want(200); head.body != "" || head.header.Get("ETag") != tag {
			t.Errorf("HEAD %s: %d bytes, tag %s", path, len(head.body), head.header.Get("ETag"))
		}
	}
	short := b.do("GET", "/docs/swagger-ui-bundle.js", "", "Accept-Encoding: gzip").want(200)
	long := b.do("GET", "/docs/swagger-ui-bundle.js", "", "Accept-Encoding: gzip;q=0").want(200)
	if short.header.Get("Content-Encoding") != "gzip" || long.header.Get("Content-Encoding") != "" || len(short.body) >= len(long.body) ||
		short.header.Get("ETag") == long.header.Get("ETag") {
		t.Errorf("%d bytes with gzip, %d without", len(short.body), len(long.body))
	}
}

func TestPagesOfOtherOriginsMaySendAndReadTheseHeaders(t *testing.T) {
	b := setup(t, withEdge(func(o *edge.Options) { o.CORSOrigins = []string{"https://shop.example"} }))
	const origin = "Origin: https://shop.example"
	a := b.do("OPTIONS", "/predict", "", origin, "Access-Control-Request-Method: POST").want(204)
	for _, header := range []string{"traceparent", "tracestate", "baggage", "If-None-Match", "Idempotency-Key"} {
		if !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), header) {
			t.Errorf("%s may not be sent: %s", header, a.header.Get("Access-Control-Allow-Headers"))
		}
	}
	if got := b.do("GET", "/schema", "", origin).header.Get("Access-Control-Expose-Headers"); !strings.Contains(got, "ETag") {
		t.Errorf("ETag may not be read: %s", got)
	}
	for _, path := range []string{"/admin/status", "/debug/pprof/", "/debug/pprof/heap", "/metrics"} {
		if got := b.asOperator("GET", path, "", origin).header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s is open to %s", path, got)
		}
	}
}
