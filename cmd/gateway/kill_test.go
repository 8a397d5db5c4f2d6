package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gateway/internal/gatewaytest"
	"gateway/internal/insights/insightstest"
	"gateway/internal/store"
	"gateway/internal/testsize"
)

// TestKill9LosesNoAnsweredPrediction kills the gateway under load, again and
// again. Every prediction that a client has an answer for must be in the ledger
// in the end, once, and the sums of insights must be those of the ledger.
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
		var reports sync.WaitGroup
		reports.Go(func() { reportUntilKilled(t, "http://"+addr) })
		gatewaytest.Eventually(t, "the load is under way", func() bool { return l.N.Load() > int64(atLeast+round) })
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		for id := range l.End() {
			answered[id] = true
		}
		reports.Wait()
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
	checkSums(t, filepath.Join(cfg.DataDir, "gateway.db"))
	t.Logf("killed %d times, %d answers, rows were recovered %d times", rounds, len(answered), recovered)
}

// reportUntilKilled asks for predictions and reports their outcomes, each twice with
// another label, until the gateway is gone.
func reportUntilKilled(t *testing.T, url string) {
	body, err := json.Marshal(map[string]any{"features": gatewaytest.Sample()})
	if err != nil {
		t.Error(err)
		return
	}
	for i := 0; ; i++ {
		id, err := gatewaytest.PredictOnce(http.DefaultClient, url, body)
		if err != nil {
			return
		}
		for again := range 2 {
			outcome := fmt.Sprintf(`{"prediction_id":%q,"outcome":%d}`, id, (i+again)%2)
			res, err := http.Post(url+"/outcomes", "application/json", strings.NewReader(outcome))
			if err != nil {
				return
			}
			_ = res.Body.Close()
		}
	}
}

// checkSums compares the sums of insights with the ledger.
func checkSums(t *testing.T, path string) {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	line, err := s.OpenLine(t.Context(), "bank")
	if err != nil {
		t.Fatal(err)
	}
	predictions, outcomes := insightstest.CheckSums(t, line)
	if predictions == 0 || outcomes == 0 {
		t.Errorf("%d predictions and %d outcomes: the test does not test much", predictions, outcomes)
	}
	sums, err := line.Sums(t.Context(), "", time.Unix(0, 0), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for i := range sums {
		if len(sums[i].Features) == 0 && sums[i].Rows > 0 {
			t.Errorf("a sum of %d rows has no bins: %+v", sums[i].Rows, sums[i].Key)
		}
	}
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
