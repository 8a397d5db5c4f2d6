package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gateway/internal/gatewaytest"
)

// A value that came into a setting for a name, as ECS's valueFrom does it, ends
// the start before anything is sent, and is not repeated.
func TestValuesWhereNamesAreDueAreRefusedUnrepeated(t *testing.T) {
	var calls atomic.Int64
	manager := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(manager.Close)
	const (
		object = `{"username":"app","password":"hunter2"}`
		url    = "postgres://app:hunter2@db.internal:5432/app"
		words  = "host=db.internal password=hunter2"
	)
	newConfig(t)
	t.Setenv("AWS_ENDPOINT_URL", manager.URL)
	t.Setenv("AWS_REGION", "eu-central-1")
	for name, tc := range map[string]struct {
		setting string
		values  []string
		says    string
	}{
		"the database":    {"GATEWAY_DB_SECRET_ID", []string{object, url, words}, "name or ARN"},
		"operators":       {"GATEWAY_ADMIN_SECRET_ID", []string{`{"tokens":["hunter2"]}`, url, "hunter2 hunter2", "Bearer hunter2"}, "name or ARN"},
		"apps":            {"GATEWAY_API_KEYS_SECRET_ID", []string{`{"keys":{"web":"hunter2"}}`, "web:hunter2"}, "name or ARN"},
		"the ledger":      {"GATEWAY_LEDGER_KEY_SECRET_ID", []string{"hunter2hunter2hunter2hunter2hunter2", object, "aHVudGVyMg==hunter2"}, "file:PATH"},
		"a host":          {"GATEWAY_DB_HOST", []string{url, "app:hunter2@db.internal", "db.internal/hunter2"}, "a name or an address"},
		"a database":      {"GATEWAY_DB_NAME", []string{url}, "not a URL"},
		"a way to log in": {"GATEWAY_DB_REQUIRE_AUTH", []string{"hunter2"}, "a list of"},
		"a mode":          {"GATEWAY_DB_SSLMODE", []string{"hunter2"}, "must be one of"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, value := range tc.values {
				t.Setenv(tc.setting, value)
				ctx, stop := context.WithTimeout(t.Context(), 5*time.Second) // a start that succeeds would go on
				var out gatewaytest.Buffer
				code := run(&console{ctx: ctx, stdout: &out, stderr: &out}, []string{"serve"})
				stop()
				stderr := out.String()
				if code != exitUsage || !strings.Contains(stderr, tc.setting+": ") || !strings.Contains(stderr, tc.says) {
					t.Errorf("exit code %d, %s; want one that names the setting and says %s", code, stderr, tc.says)
				}
				if strings.Contains(stderr, "hunter2") {
					t.Errorf("the value was repeated: %s", stderr)
				}
			}
		})
	}
	if n := calls.Load(); n > 0 {
		t.Errorf("Secrets Manager was asked %d times", n)
	}
}

func TestTheCommandLineDoesNotRepeatATokenOrAPassword(t *testing.T) {
	newConfig(t)
	for name, args := range map[string][]string{
		"a token in two words":      {"retrain", "--url", "http://127.0.0.1:1", "--token", "Bearer", "hunter2"},
		"a token with a blank":      {"retrain", "--token= ", "hunter2"},
		"a token before a command":  {"--token=hunter2", "retrain"},
		"a misspelt flag":           {"retrain", "--tokn=hunter2"},
		"a URL of another scheme":   {"retrain", "--url", "postgres://app:hunter2@db.internal", "--token", "x"},
		"a URL without a scheme":    {"retrain", "--url", "app:hunter2@db.internal", "--token", "x"},
		"a URL with a password":     {"retrain", "--url", "http://app:hunter2@127.0.0.1:1", "--token", "hunter2"},
		"a token that fits nowhere": {"retrain", "--url", "http://127.0.0.1:1", "--token", "hunter2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := command(t, args...)
			if code == exitOK || stderr == "" || strings.Contains(stdout+stderr, "hunter2") {
				t.Errorf("exit code %d, %s%s; want an error that does not repeat the value", code, stdout, stderr)
			}
		})
	}
	if _, _, stderr := command(t, "retrain", "sometimes"); !strings.Contains(stderr, "unexpected argument sometimes") {
		t.Errorf("got %s, want an error that repeats what is no secret", stderr)
	}
}
