// Package sam drives the compiled gateway through Lambda's runtime API, as the template
// deploys it, and holds template.yaml to the Serverless Application Repository, the documents
// and the code.
package sam

import (
	"cmp"
	"encoding/json"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gateway/internal/cfntest"
	"gateway/internal/gatewaytest"
	"gateway/internal/sandbox"
)

const customer = `{"customer_id": "7", "features": {"visits": 3, "plan": "pro"}}`

type prediction struct {
	PredictionID string `json:"prediction_id"`
	Model        string
}

// TestTheLoopOnLambda goes once round: customers, a renewal by scheduled events, whose process
// is killed between two of them, a prediction, its outcome, and a renewal that learns from it.
func TestTheLoopOnLambda(t *testing.T) {
	t.Setenv("GATEWAY_RENEWAL_POLL", "2100ms") // longer than a waiting renewal is held, as by default
	s := newStack(t, sandbox.Options{})
	first := s.serving()

	var p prediction
	s.call(s.apps, http.MethodPost, "/predict", customer, http.StatusOK, &p)
	if p.Model != *first.Model {
		t.Errorf("the model is %s, want %s", p.Model, *first.Model)
	}
	if !s.recorded(p.PredictionID) {
		t.Error("the prediction was answered and is not in the database")
	}
	s.nothingWaits()
	s.call(s.apps, http.MethodPost, "/outcomes", `{"prediction_id": "`+p.PredictionID+`", "outcome": 1}`, http.StatusAccepted, nil)

	ticks := 0
	second := s.renew(func(r renewal) {
		if ticks++; r.Status == "running" {
			s.operators.Kill()
		}
	})
	if ticks < 2 {
		t.Errorf("the renewal ended within %d events; it was not let go while it waited", ticks)
	}
	var detail struct {
		Steps []struct {
			Name   string
			Detail struct {
				NewLabels int `json:"new_labels"`
			}
		}
	}
	s.call(s.operators, http.MethodGet, "/admin/renewals/"+second.ID, "", http.StatusOK, &detail)
	if got := detail.Steps[1].Detail.NewLabels; got != 1 {
		t.Errorf("the second renewal learns from %d outcomes, want 1", got)
	}
	for _, operation := range []string{"CreateTrainingJob", "CreateTransformJob"} {
		if got := s.services.Count(operation); got != 2 {
			t.Errorf("%s was called %d times for two renewals", operation, got)
		}
	}
	t.Logf("%d scheduled events for the second renewal", ticks)
}

// actions are the permissions that calls need where these have another name.
var actions = map[string]string{"s3:HeadObject": "s3:GetObject", "s3:ListObjectsV2": "s3:ListBucket", "s3:HeadBucket": "s3:ListBucket"}

// TestTheAppsFunctionMayDoWhatItDoes holds the calls of a function that starts, predicts, explains
// and takes outcomes to its policy.
func TestTheAppsFunctionMayDoWhatItDoes(t *testing.T) {
	s := newStack(t, sandbox.Options{})
	s.serving()
	calls := s.alone(func() {
		var p prediction
		s.call(s.apps, http.MethodPost, "/predict", customer, http.StatusOK, &p)
		gatewaytest.Eventually(t, "the model is explained", func() bool {
			var explained struct{ Reasons []any }
			s.call(s.apps, http.MethodPost, "/predict", `{"customer_id": "7", "explain": true}`, http.StatusOK, &explained)
			return explained.Reasons != nil
		})
		s.call(s.apps, http.MethodPost, "/predict/batch", `{"instances": [{"customer_id": "7"}, {"customer_id": "8"}]}`, http.StatusOK, nil)
		s.call(s.apps, http.MethodPost, "/outcomes", `{"outcomes": [{"prediction_id": "`+p.PredictionID+`", "outcome": 1}, {"customer_id": "9", "outcome": 0}]}`, http.StatusAccepted, nil)
	})
	var allowed []string
	for _, statement := range statements(t, cfntest.Read(t, file), "AppsFunction") {
		allowed = append(allowed, list(statement.(map[string]any)["Action"])...)
	}
	for _, call := range calls {
		if action := cmp.Or(actions[call], call); !slices.Contains(allowed, action) {
			t.Errorf("the apps' function calls %s, which its policy does not allow", call)
		}
	}
	if len(calls) < 8 {
		t.Errorf("it calls %v alone; the test shows little", calls)
	}
	t.Log(calls)
}

// nothingWaits holds that no prediction is on the disk of a function.
func (s *stack) nothingWaits() {
	s.t.Helper()
	seen := 0
	err := filepath.WalkDir(s.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.Contains(path, "/outbox/") {
			return err
		}
		seen++
		if info, err := entry.Info(); err != nil || info.Size() > 64 { // a segment's header
			s.t.Errorf("%s has %d bytes (%v)", path, info.Size(), err)
		}
		return nil
	})
	must(s.t, err)
	if seen == 0 {
		s.t.Error("there are no files of an outbox; the test looks in the wrong place")
	}
}

func TestRoutesOfTheFunctions(t *testing.T) {
	s := newStack(t, sandbox.Options{})
	for _, tc := range []struct {
		function *sandbox.Function
		path     string
		want     int
	}{
		{s.apps, "/livez", http.StatusOK},
		{s.apps, "/readyz", http.StatusServiceUnavailable}, // there is no model yet
		{s.apps, "/schema", http.StatusOK},
		{s.apps, "/admin/status", http.StatusNotFound},
		{s.apps, "/metrics", http.StatusNotFound},
		{s.apps, "/console/", http.StatusNotFound},
		{s.operators, "/admin/status", http.StatusOK},
		{s.operators, "/schema", http.StatusNotFound},
	} {
		a, err := s.try(tc.function, http.MethodGet, tc.path, "", "")
		must(t, err)
		if a.StatusCode != tc.want {
			t.Errorf("GET %s: %d, want %d", tc.path, a.StatusCode, tc.want)
		}
	}
	event := request(http.MethodGet, "/metrics", "", "")
	delete(event["headers"].(map[string]string), "authorization")
	text, err := json.Marshal(event)
	must(t, err)
	text, err = s.operators.Invoke(t.Context(), text)
	must(t, err)
	var a answer
	must(t, json.Unmarshal(text, &a))
	if a.StatusCode != http.StatusUnauthorized {
		t.Errorf("/metrics without a token: %d, want 401", a.StatusCode)
	}
}

func TestAnAnswerComesBeforeTheTimeOut(t *testing.T) {
	s := newStack(t, sandbox.Options{})
	s.serving()
	s.call(s.apps, http.MethodPost, "/predict", customer, http.StatusOK, nil)
	s.services.Order("InvokeEndpoint", sandbox.Fault{Kind: sandbox.Hang, Times: -1})
	s.apps.SetTimeout(3 * time.Second)
	var problem struct{ Type string }
	s.call(s.apps, http.MethodPost, "/predict", customer, http.StatusGatewayTimeout, &problem)
	if problem.Type != "urn:gateway:problem:deadline" {
		t.Errorf("the problem is %s", problem.Type)
	}
	s.services.CancelFaults()
	s.apps.SetTimeout(30 * time.Second)
	s.call(s.apps, http.MethodPost, "/predict", customer, http.StatusOK, nil)
	if starts := strings.Count(s.logs.String(), `"routes":"apps"`); starts != 1 {
		t.Errorf("the function was started %d times", starts)
	}
}

func TestEventsThatAreNone(t *testing.T) {
	s := newStack(t, sandbox.Options{})
	for name, tc := range map[string]struct{ event, want string }{
		"no JSON":             {`{"version": `, "not a JSON object"},
		"a list":              {`[]`, "not a JSON object"},
		"an unknown event":    {`{"Records": []}`, "neither a request in payload format 2.0"},
		"payload format 1.0":  {`{"version": "1.0", "httpMethod": "GET", "path": "/livez"}`, "set the integration's payload format to 2.0"},
		"a body not base64":   {`{"version": "2.0", "rawPath": "/predict", "requestContext": {"http": {"method": "POST"}}, "body": "{", "isBase64Encoded": true}`, "not base64"},
		"a path not escaped":  {`{"version": "2.0", "rawPath": "/%zz", "requestContext": {"http": {"method": "GET"}}}`, "rawPath"},
		"a secret in a field": {`{"Records": "do-not-repeat"`, "not a JSON object"},
	} {
		_, err := s.apps.Invoke(t.Context(), []byte(tc.event))
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "do-not-repeat") {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	s.call(s.apps, http.MethodGet, "/livez", "", http.StatusOK, nil)
	s.call(s.apps, http.MethodPost, "/predict", `{"features": `, http.StatusBadRequest, nil)
	s.call(s.apps, http.MethodPost, "/predict", `{"customer_id": "`+strings.Repeat("x", 2<<20)+`"}`, http.StatusRequestEntityTooLarge, nil)
}

// TestWhatWasAnsweredIsInTheLedger kills the function in one half of the requests when the model
// has answered, and in the other half as soon as the function has. Each request that was
// answered is in the database.
func TestWhatWasAnsweredIsInTheLedger(t *testing.T) {
	var armed atomic.Pointer[sandbox.Function]
	s := newStack(t, sandbox.Options{Observe: func(c sandbox.Call) {
		if c.Operation == "InvokeEndpoint" {
			if f := armed.Swap(nil); f != nil {
				go f.Kill()
			}
		}
	}})
	s.serving()
	answered, killed := 0, 0
	for i := range 24 {
		if s.call(s.apps, http.MethodGet, "/livez", "", http.StatusOK, nil); i%2 == 0 {
			armed.Store(s.apps)
		}
		a, err := s.try(s.apps, http.MethodPost, "/predict", "application/json", customer)
		if err != nil {
			killed++
			continue
		}
		s.apps.Kill()
		var p prediction
		must(t, json.Unmarshal([]byte(a.Body), &p))
		if a.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", a.StatusCode, a.Body)
		}
		answered++
		if !s.recorded(p.PredictionID) {
			t.Errorf("prediction %s was answered and is not in the database", p.PredictionID)
		}
	}
	t.Logf("%d answered, %d killed", answered, killed)
	if answered < 12 || killed == 0 {
		t.Errorf("%d answered and %d killed: the test shows little", answered, killed)
	}
}

// A database that does not take the prediction is a 503: there is no outbox that takes it.
func TestNothingIsAnsweredWithoutTheDatabase(t *testing.T) {
	s := newStack(t, sandbox.Options{})
	s.serving()
	s.call(s.apps, http.MethodPost, "/predict", customer, http.StatusOK, nil)
	_, err := s.database.Exec(t.Context(), `ALTER TABLE predictions RENAME TO hidden`)
	must(t, err)
	s.call(s.apps, http.MethodPost, "/predict", customer, http.StatusServiceUnavailable, nil)
	_, err = s.database.Exec(t.Context(), `ALTER TABLE hidden RENAME TO predictions`)
	must(t, err)
	s.call(s.apps, http.MethodPost, "/predict", customer, http.StatusOK, nil)
	s.nothingWaits()
}

func TestTheFunctionEndsBySIGTERM(t *testing.T) {
	s := newStack(t, sandbox.Options{})
	s.call(s.apps, http.MethodGet, "/livez", "", http.StatusOK, nil)
	gatewaytest.Eventually(t, "an extension is registered", s.apps.Extended)
	if code := s.apps.Shutdown(); code != 0 {
		t.Errorf("the exit code is %d", code)
	}
}

func TestSettingsOfAFunction(t *testing.T) {
	newStack(t, sandbox.Options{})
	t.Setenv("GATEWAY_CUSTOMERS_TABLE", "") // it is for sagemaker alone
	for name, value := range map[string]string{"GATEWAY_DB_SECRET_ID": "", "GATEWAY_ADMIN_SECRET_ID": "", "GATEWAY_OUTBOX_SYNC": "always",
		"GATEWAY_ADMIN_ADDR": "127.0.0.1:0", "GATEWAY_LAMBDA_ROUTES": "some", "GATEWAY_PLATFORM": "local"} {
		logs := &gatewaytest.Buffer{}
		f := sandbox.NewFunction("wrong", compiled, []string{"GATEWAY_DATA_DIR=" + t.TempDir(), name + "=" + value}, logs)
		if _, err := f.Invoke(t.Context(), []byte(`{}`)); err == nil || !strings.Contains(logs.String(), name+": ") {
			t.Errorf("%s=%s: got %v and %q", name, value, err, logs)
		}
		f.Kill()
	}
}

// TestColdStart prints how long the first answers take. It holds no bound: that depends on
// the machine.
func TestColdStart(t *testing.T) {
	s := newStack(t, sandbox.Options{})
	s.serving()
	s.call(s.apps, http.MethodGet, "/livez", "", http.StatusOK, nil)
	for range 3 {
		s.apps.Kill()
		start := time.Now()
		s.call(s.apps, http.MethodPost, "/predict", customer, http.StatusOK, nil)
		cold := time.Since(start)
		start = time.Now()
		s.call(s.apps, http.MethodPost, "/predict", customer, http.StatusOK, nil)
		t.Logf("cold start: the first prediction took %s with the start of the process, the second one %s",
			cold.Round(time.Millisecond), time.Since(start).Round(100*time.Microsecond))
	}
}
