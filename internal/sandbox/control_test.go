package sandbox_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gateway/internal/sandbox"
)

func (s *stand) control(method, path, body string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func TestOverHTTPTooFaultsAreOrderedAndCallsAreTold(t *testing.T) {
	s := two(t)
	for _, tc := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "/sandbox/faults", `{"operation": "InvokeEndpoint", "kind": "slow", "delay": "1ms", "times": 2, "skip": 1}`, 201, `"delay":"1ms"`},
		{"POST", "/sandbox/faults", `{"operation": "UpdateEndpoint", "kind": "stick"}`, 201, `"kind":"stick"`},
		{"GET", "/sandbox/faults", "", 200, `"operation":"InvokeEndpoint"`},
		{"POST", "/sandbox/faults", `{"kind": "slow"}`, 400, "has no operation"},
		{"POST", "/sandbox/faults", `{"operation": "[", "kind": "slow"}`, 400, "syntax error"},
		{"POST", "/sandbox/faults", `{"operation": "*", "kind": "slow", "tmies": 1}`, 400, "tmies"},
		{"POST", "/sandbox/faults", `{`, 400, "error"},
		{"GET", "/sandbox/kinds", "", 200, `"lose-answer":"the operation is done, then`},
		{"GET", "/sandbox/calls?operation=CreateModel", "", 200, `"resource":"old"`},
		{"GET", "/sandbox/calls?operation=None", "", 200, "[]"},
		{"DELETE", "/sandbox/calls", "", 204, ""},
		{"GET", "/sandbox/calls", "", 200, "[]"},
		{"POST", "/sandbox/scale", `{"endpoint": "bank", "variant": "None", "count": 3}`, 409, "no variant"},
		{"POST", "/sandbox/scale", `{"endpoint": "bank", "variant": "AllTraffic", "count": 3}`, 204, ""},
		{"POST", "/sandbox/maintain", `{"endpoint": "bank"}`, 409, "in-progress"},
		{"GET", "/sandbox/none", "", 404, "there is no GET"},
	} {
		status, text := s.control(tc.method, tc.path, tc.body)
		if status != tc.status || !strings.Contains(text, tc.says) {
			t.Errorf("%s %s %s gives %d %s, want %d and %q", tc.method, tc.path, tc.body, status, text, tc.status, tc.says)
		}
	}
	s.Advance(time.Hour)
	if v := s.is("bank", "InService", "old").ProductionVariants[0]; *v.CurrentInstanceCount != 3 {
		t.Errorf("%d instances, want 3", *v.CurrentInstanceCount)
	}
	if status, _ := s.control("POST", "/sandbox/maintain", `{"endpoint": "bank"}`); status != 204 {
		t.Errorf("maintenance gives %d", status)
	}
	s.is("bank", "SystemUpdating", "old")
	s.Advance(time.Hour)
	s.update("bank", "new")
	s.Advance(time.Hour)
	s.is("bank", "Updating", "old")
	if status, _ := s.control("DELETE", "/sandbox/faults", ""); status != 204 {
		t.Errorf("taking faults back gives %d", status)
	}
	s.Advance(time.Second)
	s.is("bank", "InService", "new")
	if _, text := s.control("GET", "/sandbox/faults", ""); strings.TrimSpace(text) != "[]" {
		t.Errorf("faults left: %s", text)
	}
}

func TestEveryKindOfFaultIsListedOnce(t *testing.T) {
	seen := map[sandbox.Kind]bool{}
	for _, k := range sandbox.Kinds() {
		if seen[k] || k == "" || k.Does() == "" {
			t.Errorf("%q is listed twice, or does nothing", k)
		}
		seen[k] = true
	}
}

func TestSecretsAreAskedOfTheHandlerThatHasThem(t *testing.T) {
	s := startWith(t, sandbox.Options{SecretsManager: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(append([]byte(r.Header.Get("X-Amz-Target")+" "), body...))
	})})
	order := s.Order("GetSecretValue", sandbox.Fault{Kind: sandbox.Denied, Resource: "db", Skip: 1})
	ask := func() (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(`{"SecretId":"db"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-central-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(text)
	}
	if status, text := ask(); status != http.StatusTeapot || text != `secretsmanager.GetSecretValue {"SecretId":"db"}` {
		t.Errorf("got %d %s, want what the handler says", status, text)
	}
	if status, _ := ask(); status != http.StatusForbidden || order.Hits() != 1 {
		t.Errorf("got %d, want the fault", status)
	}
	if calls := s.Calls("GetSecretValue"); len(calls) != 2 || calls[0].Service != "secretsmanager" || calls[0].Resource != "db" {
		t.Errorf("the journal has %+v", calls)
	}
}
