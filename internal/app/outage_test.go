package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"gateway/api"
	"gateway/api/client"
	"gateway/internal/gatewaytest"
	"gateway/internal/sandbox"
	"gateway/internal/secrets"
)

// TestTheStartWaitsForSecretsManager starts a gateway while Secrets Manager
// fails in one way or another, and lets it work again.
func TestTheStartWaitsForSecretsManager(t *testing.T) {
	for fault, says := range map[sandbox.SecretsFault]string{
		sandbox.SecretsDown: "EOF", sandbox.SecretsThrottle: "ThrottlingException", sandbox.SecretsFail: "InternalServiceError",
		sandbox.SecretsGarbage: "deserialization", sandbox.SecretsEmpty: "no secret", sandbox.SecretsSlow: "",
	} {
		t.Run(string(fault), func(t *testing.T) {
			stand, url := gatewaytest.StartSecretsManager(t)
			r := &rotation{t: t, client: useSecretsManager(t, url)}
			r.create("tokens", map[string]any{"tokens": []string{"the-token"}})
			cfg := newConfig(t)
			cfg.AdminSecretID, cfg.Demo = "tokens", false
			stand.Fault(fault)
			logs := &gatewaytest.Buffer{}
			var a *App
			started := make(chan error, 1)
			go func() {
				var err error
				a, err = Open(t.Context(), cfg, Options{Log: slog.New(slog.NewTextHandler(logs, nil))})
				started <- err
			}()
			gatewaytest.Eventually(t, "it asks, and waits", func() bool {
				reads, _ := stand.Reads()
				return reads > 0 && (says == "" || strings.Contains(logs.String(), "cannot read a secret; the start waits"))
			})
			select {
			case err := <-started:
				t.Fatalf("it started without a token (%v)", err)
			default:
			}
			stand.Fault(sandbox.SecretsWork)
			if err := <-started; err != nil {
				t.Fatal(err)
			}
			if text := logs.String(); says != "" && (!strings.Contains(text, "secret=admin id=tokens") || !strings.Contains(text, says)) {
				t.Errorf("the log does not say what it waited for, and why: %s", text)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := a.Serve(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAnOutageOfSecretsManagerCostsNoPrediction lets it fail in every way while
// the gateway runs. Predictions go on, the old credentials stay valid, and the
// operators can see what is wrong.
func TestAnOutageOfSecretsManagerCostsNoPrediction(t *testing.T) {
	stand, url := gatewaytest.StartSecretsManager(t)
	r := newRotation(t, useSecretsManager(t, url))
	r.createDatabase("db")
	r.create("tokens", map[string]any{"tokens": []string{"the-token"}})
	r.create("keys", map[string]any{"keys": map[string]string{"web": "the-key"}})
	cfg := newConfig(t)
	cfg.DBSecretID, cfg.AdminSecretID, cfg.APIKeysSecretID = "db", "tokens", "keys"
	cfg.SecretTTL = 200 * time.Millisecond
	cfg.PredictTimeout = gatewaytest.Patience
	g := startWith(t, cfg, Options{databaseLifetime: 100 * time.Millisecond})
	g.ready(t)
	web := &client.Client{BaseURL: g.url, Token: "the-key", HTTP: g.client.HTTP}
	g.client.Token = "the-token"
	state := func() (ready api.Readiness, text string) {
		t.Helper()
		res, err := http.Get(g.url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(&ready); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("/readyz is %d (%v)", res.StatusCode, err)
		}
		return ready, g.logs.String()
	}
	opened, _ := g.components.connector.Opened()
	for _, fault := range []sandbox.SecretsFault{sandbox.SecretsDown, sandbox.SecretsThrottle, sandbox.SecretsFail,
		sandbox.SecretsGarbage, sandbox.SecretsEmpty, sandbox.SecretsDeny, sandbox.SecretsSlow} {
		stand.Fault(fault)
		asked, _ := stand.Reads()
		gatewaytest.Eventually(t, "the gateway asks for its secrets", func() bool { now, _ := stand.Reads(); return now > asked })
		for range 5 {
			if _, err := web.Predict(t.Context(), api.PredictionRequest{CustomerID: "1", Features: gatewaytest.Sample()}); err != nil {
				t.Errorf("%s: a prediction failed: %v", fault, err)
			}
		}
		if fault != sandbox.SecretsSlow { // it is noticed after the time-out
			gatewaytest.Eventually(t, "the gateway is degraded", func() bool {
				ready, _ := state()
				return ready.Status == "degraded" && ready.Dependencies["secrets"].State == "degraded"
			})
		}
		if _, err := g.client.Models(t.Context()); err != nil {
			t.Errorf("%s: an operator was refused: %v", fault, err)
		}
		stand.Fault(sandbox.SecretsWork)
		gatewaytest.Eventually(t, "the gateway is well again", func() bool { ready, _ := state(); return ready.Status == "ok" })
	}
	if now, _ := g.components.connector.Opened(); now == opened {
		t.Error("no connection was made meanwhile")
	}
	if _, text := state(); !strings.Contains(text, "cannot read a secret") || strings.Contains(text, "the-token") || strings.Contains(text, "the-key") {
		t.Errorf("the log does not tell the story, or too much: %s", text)
	}
}

// TestTokensInAFileAreReplacedWithoutARestart replaces the file: the new token
// works at once, the one before it until the grace is over.
func TestTokensInAFileAreReplacedWithoutARestart(t *testing.T) {
	path := gatewaytest.WriteFile(t, "tokens.json", `{"tokens": {"ops": "token-1"}}`)
	cfg := newConfig(t)
	cfg.AdminSecretID, cfg.Demo = secrets.FilePrefix+path, false
	g := start(t, cfg)
	try := func(token string, want int) {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, g.url+"/admin/models", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != want {
			t.Errorf("%s: status %d, want %d", token, res.StatusCode, want)
		}
	}
	replace := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	try("token-1", 200)
	replace(`{"tokens": {"ops": "token-2"}}`)
	try("token-1", 200)
	try("token-2", 200)
	try("token-1", 200)
	replace(`{"tokens": {"ops": "token-3"}}`)
	gatewaytest.Eventually(t, "the newest token works", func() bool { // reads that are asked for are few
		g.client.Token = "token-3"
		_, err := g.client.Models(t.Context())
		return err == nil
	})
	try("token-2", 200)
	try("token-1", 403)
	if text := g.logs.String(); strings.Contains(text, "token-2") || strings.Contains(text, "token-3") || !strings.Contains(text, `"token":"ops"`) {
		t.Errorf("the log has a token in it, or not its name: %s", text)
	}
}
