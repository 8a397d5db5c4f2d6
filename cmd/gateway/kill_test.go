package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gateway/internal/gatewaytest"
	"gateway/internal/testsize"
)

// TestKill9LosesNoAnsweredPrediction kills the gateway under load, again and
// again. Every prediction that a client has an answer for must be in the ledger
// in the end, once.
func TestKill9LosesNoAnsweredPrediction(t *testing.T) {
	const clients, atLeast = 8, 40
	rounds := testsize.Of(4, 50)
	cfg := newConfig(t)
	cfg.Demo = false
	fill(t, cfg)
	addr := gatewaytest.FreePort(t)
	t.Setenv("GATEWAY_ADDR", addr)
	t.Setenv("GATEWAY_DEMO", "false")
	t.Setenv("GATEWAY_LOG_FORMAT", "json")
	ready := func() {
		gatewaytest.Eventually(t, "/readyz is 200", func() bool {
			res, err := http.Get("http://" + addr + "/readyz")
			if err != nil {
				return false
			}
			defer res.Body.Close()
			return res.StatusCode == http.StatusOK
		})
	}
	answered := map[string]bool{}
	recovered := 0
	for round := range rounds {
		cmd, output := process(t, nil, "serve")
		ready()
		l := gatewaytest.StartLoad("http://"+addr, clients, true)
		gatewaytest.Eventually(t, "the load is under way", func() bool { return l.N.Load() > int64(atLeast+round) })
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		for id := range l.End() {
			answered[id] = true
		}
		if strings.Contains(output.String(), "has rows of an earlier run") {
			recovered++
		}
		if strings.Contains(output.String(), "damaged") {
			t.Errorf("round %d: %s", round, output)
		}
	}
	if recovered < rounds/4 {
		t.Errorf("only %d of %d restarts found rows in the outbox: the test does not test much", recovered, rounds)
	}
	t.Setenv("GATEWAY_ADDR", "127.0.0.1:0")
	last := serve(t, cfg)
	last.drained(t)
	if err := last.stop(); err != nil {
		t.Fatal(err)
	}
	gatewaytest.WantOnce(t, answered, gatewaytest.InLedger(t, "sqlite", filepath.Join(cfg.DataDir, "gateway.db")))
	t.Logf("killed %d times, %d answers, rows were recovered %d times", rounds, len(answered), recovered)
}

// TestARestartWithoutTrafficLosesNothing restarts twice, so that nothing waits in
// the outbox, and kills the gateway once it has answered.
func TestARestartWithoutTrafficLosesNothing(t *testing.T) {
	cfg := newConfig(t)
	cfg.Demo = false
	g := serveFilled(t, cfg)
	answered := map[string]bool{}
	body, err := json.Marshal(map[string]any{"features": gatewaytest.Sample()})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(url string, times int) {
		t.Helper()
		for range times {
			id, err := gatewaytest.PredictOnce(http.DefaultClient, url, body)
			if err != nil {
				t.Fatal(err)
			}
			answered[id] = true
		}
	}
	ask(g.url, 50)
	g.drained(t)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	addr := gatewaytest.FreePort(t)
	t.Setenv("GATEWAY_ADDR", addr)
	t.Setenv("GATEWAY_DEMO", "false")
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM, syscall.SIGKILL} {
		cmd, output := process(t, nil, "serve")
		gatewaytest.Eventually(t, "/readyz is 200", func() bool {
			res, err := http.Get("http://" + addr + "/readyz")
			if err != nil {
				return false
			}
			defer res.Body.Close()
			return res.StatusCode == http.StatusOK
		})
		if end == syscall.SIGKILL {
			ask("http://"+addr, 25)
		}
		if err := cmd.Process.Signal(end); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); (err != nil) != (end == syscall.SIGKILL) {
			t.Fatalf("after %v the process ended with %v: %s", end, err, output)
		}
	}
	t.Setenv("GATEWAY_ADDR", "127.0.0.1:0")
	last := serve(t, cfg)
	last.drained(t)
	if err := last.stop(); err != nil {
		t.Fatal(err)
	}
	gatewaytest.WantOnce(t, answered, gatewaytest.InLedger(t, "sqlite", filepath.Join(cfg.DataDir, "gateway.db")))
}
