package api_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gateway/api"
	"gateway/internal/admission"
)

// withQueue gives the gateway a queue of the given length.
func withQueue(q admission.Queue) option {
	return func(b *bundle, _ *api.Options, _ *parts) {
		b.edge.Limit = admission.NewLimit(admission.Options{Queue: func() admission.Queue { return q }}, b.deps.Registry)
	}
}

// tooLong is the length of a queue that admits no further request.
var tooLong = admission.Queue{Rows: 100_000, Wait: 2500 * time.Millisecond, Call: 5 * time.Millisecond}

func TestPredictionsAreShedInFrontOfALongQueue(t *testing.T) {
	b := setup(t, withQueue(tooLong))
	b.store10042()
	prediction := `{"features":` + technician + `}`
	for path, body := range map[string]string{"/predict": prediction, "/predict/batch": `{"instances":[` + prediction + `]}`} {
		if a := b.post(path, body); a.problem(503).Type != "urn:gateway:problem:unavailable" || a.header.Get("Retry-After") != "3" {
			t.Errorf("%s: %v", path, a.header)
		}
		if a := b.post(path, body, "Idempotency-Key: again"); a.header.Get("Retry-After") != "3" {
			t.Errorf("%s with a key: %v", path, a.header)
		}
	}
	if a := b.do("POST", "/predict/batch", prediction+"\n", "Content-Type: application/x-ndjson"); a.problem(503).Detail == "" {
		t.Error("a stream was let in")
	}
	if a := b.do("POST", "/endpoints/ServiceEndpoint/invocations", "1,2", "Content-Type: text/csv").want(503); a.header.Get("X-Amzn-ErrorType") != "ServiceUnavailable" {
		t.Errorf("got %v", a.header)
	}
	// Routes that need no model still answer.
	b.post("/outcomes", `{"customer_id":"10042","outcome":1}`).want(202)
	b.do("GET", "/schema", "").want(200)
	b.do("GET", "/readyz", "").want(200)
	var status struct {
		Limit admission.LimitStatus `json:"limit"`
	}
	b.asOperator("GET", "/admin/status", "").want(200).decode(&status)
	if !status.Limit.QueueFull || status.Limit.Places == 0 || status.Limit.InUse != 0 {
		t.Errorf("status %+v", status.Limit)
	}
}

// TestARefusalDoesNotWaitForTheBody: the body never comes.
func TestARefusalDoesNotWaitForTheBody(t *testing.T) {
	b := setup(t, withQueue(tooLong))
	b.post("/predict", `{"features":`+technician+`}`).want(503)
	for _, size := range []string{"Content-Length: 500000", "Transfer-Encoding: chunked"} {
		conn := dialBundle(t, b)
		fmt.Fprintf(conn, "POST /predict HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n%s\r\n\r\n", size)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if readAnswer(t, withRequest(res)).problem(503); !res.Close {
			t.Error("the connection stays open, and the body would be taken for the next request")
		}
	}
}

// TestARefusalKeepsTheConnection: a caller that was refused, and whose body was
// small, can use its connection again.
func TestARefusalKeepsTheConnection(t *testing.T) {
	b := setup(t, withQueue(tooLong))
	conn := dialBundle(t, b)
	answers := bufio.NewReader(conn)
	body := `{"features":` + technician + `}`
	for range 3 {
		fmt.Fprintf(conn, "POST /predict HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if readAnswer(t, withRequest(res)).problem(503); res.Close {
			t.Error("the connection is closed")
		}
	}
}

// TestEveryPlaceIsGivenBack, whatever became of its request.
func TestEveryPlaceIsGivenBack(t *testing.T) {
	b := setup(t, withKeys(sqliteKeys(t)))
	b.store10042()
	good := `{"features":` + technician + `}`
	for _, key := range []string{"", "k1", "k1"} {
		for _, body := range []string{good, `{}`, `{`, `{"customer_id":"nobody"}`, strings.Repeat(" ", 100_000) + good, strings.Repeat(" ", 2<<20)} {
			for _, path := range []string{"/predict", "/predict/batch", "/outcomes"} {
				headers := []string{"Idempotency-Key: " + key + path[1:2]}
				if key == "" {
					headers = nil
				}
				b.post(path, body, headers...)
			}
		}
	}
	b.do("POST", "/predict/batch", csvHeader+csvRow, "Content-Type: text/csv").want(200)
	b.do("POST", "/predict/batch", "no,such\ncolumns,1\n", "Content-Type: text/csv")
	b.do("POST", "/endpoints/ServiceEndpoint/invocations", "1,2", "Content-Type: text/csv")
	var status struct {
		Limit admission.LimitStatus `json:"limit"`
	}
	if b.asOperator("GET", "/admin/status", "").want(200).decode(&status); status.Limit.InUse != 0 {
		t.Errorf("%d places are still taken", status.Limit.InUse)
	}
}

func dialBundle(t *testing.T, b *bundle) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// withRequest lets readAnswer name the request in its errors.
func withRequest(res *http.Response) *http.Response {
	res.Request, _ = http.NewRequest(http.MethodPost, "/predict", nil)
	return res
}

func TestACallersTimeBoundsItsPrediction(t *testing.T) {
	b := setup(t, withScorer(untilDone), withKeys(sqliteKeys(t)), withOptions(func(o *api.Options) { o.PredictTimeout = time.Minute }))
	prediction := `{"features":` + technician + `}`
	soon := "X-Request-Timeout: 0.01"
	b.post("/predict", prediction, soon).problem(504)
	b.post("/predict", prediction, soon, "Idempotency-Key: soon").problem(504)
	b.post("/predict/batch", `{"instances":[`+prediction+`]}`, soon).problem(504)
	for _, bad := range []string{"0", "0.0", "-1", "+1", "soon", "NaN", "", "1s", "1.", ".", "1.2.3", "1e-9", "1e300", "inf", "Inf", "0x1p-1", "1_0", "٣"} {
		if p := b.post("/predict", prediction, "X-Request-Timeout: "+bad).problem(400); !strings.Contains(p.Detail, "X-Request-Timeout") {
			t.Errorf("%q: %s", bad, p.Detail)
		}
		if p := b.post("/predict/batch", csvHeader, "Content-Type: text/csv", "X-Request-Timeout: "+bad).problem(400); !strings.Contains(p.Detail, "X-Request-Timeout") {
			t.Errorf("%q at a stream: %s", bad, p.Detail)
		}
	}
	b.post("/predict/batch", csvHeader, "Content-Type: text/csv", soon).want(200)
	ours := setup(t, withScorer(untilDone), withOptions(func(o *api.Options) { o.PredictTimeout = 10 * time.Millisecond }))
	for _, more := range []string{"3600", "0003600.50", strings.Repeat("9", 400)} { // than the gateway gives anybody
		ours.post("/predict", prediction, "X-Request-Timeout: "+more).problem(504)
	}
}
