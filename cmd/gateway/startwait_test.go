package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"gateway/internal/gatewaytest"
	"gateway/internal/sandbox"
)

// TestAStartThatWaitsCanBeEnded sends a gateway that waits for its secret away.
func TestAStartThatWaitsCanBeEnded(t *testing.T) {
	stand, url := gatewaytest.StartSecretsManager(t)
	gatewaytest.UseSecretsManager(t, url)
	stand.Fault(sandbox.SecretsDown)
	newConfig(t)
	addr := gatewaytest.FreePort(t)
	t.Setenv("GATEWAY_ADDR", addr)
	t.Setenv("GATEWAY_ADMIN_SECRET_ID", "tokens")
	cmd, output := process(t, nil, "serve")
	gatewaytest.Eventually(t, "it waits", func() bool { return strings.Contains(output.String(), "cannot read a secret") })
	for path, want := range map[string]int{"/livez": 200, "/readyz": 503, "/healthz": 503, "/predict": 503, "/admin/status": 503} {
		res, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		if _ = res.Body.Close(); res.StatusCode != want || !res.Close || res.Header.Get("X-Request-Id") == "" {
			t.Errorf("meanwhile %s is %d %s, want %d", path, res.StatusCode, text, want)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(output.String(), "while waiting for it") {
		t.Errorf("it ended with %v: %s", err, output)
	}
}
