package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gateway/internal/gatewaytest"
)

// TestTerminatingUnderLoadDropsNothing sends SIGTERM to a gateway under load.
// A request may be refused because the listener is closed; one that was accepted must be
// answered in full. Half of the clients keep their connection, half open a new
// one for every request.
func TestTerminatingUnderLoadDropsNothing(t *testing.T) {
	addr := gatewaytest.FreePort(t)
	cfg := newConfig(t)
	fill(t, cfg)
	cmd, output := process(t, []string{"GATEWAY_ADDR=" + addr, "GATEWAY_LOG_LEVEL=warn"}, "serve")
	url := "http://" + addr
	gatewaytest.Eventually(t, "/readyz is 200", func() bool {
		res, err := http.Get(url + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	body, err := json.Marshal(map[string]any{"features": gatewaytest.Sample()})
	if err != nil {
		t.Fatal(err)
	}
	var answered, dropped atomic.Int64
	var load sync.WaitGroup
	for c := range 16 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: c%2 == 0}}
		load.Go(func() {
			defer client.CloseIdleConnections()
			for {
				res, err := client.Post(url+"/predict", "application/json", bytes.NewReader(body))
				if refused(err) {
					return // the listener is closed
				}
				if err != nil {
					dropped.Add(1)
					t.Errorf("a request was dropped: %v", err)
					return
				}
				text, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK || !json.Valid(text) {
					dropped.Add(1)
					t.Errorf("got %d %q (%v), want a whole answer", res.StatusCode, text, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	gatewaytest.Eventually(t, "the load is under way", func() bool { return answered.Load() > 200 })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	load.Wait()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the gateway ended with %v: %s", err, output.String())
	}
	t.Logf("%d requests answered, %d dropped", answered.Load(), dropped.Load())
	if _, err := os.Stat(filepath.Join(cfg.DataDir, "gateway.owner")); !os.IsNotExist(err) {
		t.Error("the data dir still names an owner")
	}
}

// TestALogThatIsNotReadStopsNothing runs a gateway whose stderr is a pipe that
// is never read, and then closed. It goes on answering, and ends when it is told to.
func TestALogThatIsNotReadStopsNothing(t *testing.T) {
	unread, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Close()
	addr := gatewaytest.FreePort(t)
	cmd := exec.Command(os.Args[0], "serve")
	cmd.Env = append(os.Environ(), "RUN_AS_GATEWAY=1", "GATEWAY_DEMO=false", "GATEWAY_ADDR="+addr, "GATEWAY_DATA_DIR="+t.TempDir())
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = stderr.Close()
	defer func() { _ = cmd.Process.Kill() }()
	url := "http://" + addr
	gatewaytest.Eventually(t, "/livez is 200", func() bool {
		res, err := http.Get(url + "/livez")
		return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
	})
	dropped := func() float64 { return gatewaytest.Metric(t, url, "gateway_log_lines_dropped_total") }
	var enough atomic.Bool
	defer enough.Store(true)
	var load sync.WaitGroup
	for range 8 {
		client := &http.Client{Timeout: gatewaytest.Patience, Transport: &http.Transport{}}
		load.Go(func() {
			defer client.CloseIdleConnections()
			for !enough.Load() {
				res, err := client.Post(url+"/outcomes", "application/json", strings.NewReader(`{}`))
				if err != nil {
					t.Errorf("a request was not answered: %v", err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
	gatewaytest.Eventually(t, "the pipe and the memory for lines are full", func() bool { return dropped() > 0 })
	enough.Store(true)
	load.Wait()
	unwritten := dropped()
	_ = unread.Close()
	gatewaytest.Eventually(t, "lines that cannot be written are counted", func() bool {
		return dropped() > unwritten
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the gateway ended with %v", err)
		}
	case <-time.After(gatewaytest.Patience):
		t.Error("the gateway does not end")
	}
}

func refused(err error) bool {
	return err != nil && strings.Contains(err.Error(), "connection refused")
}

func TestWrongSettingsStopTheStartWithALineThatNamesThem(t *testing.T) {
	broken := gatewaytest.WriteFile(t, "broken.yaml", "name: x\nid: id\nlabel: {name: y, positive: [1], negative: [0]}\nfeatures:\n  - {name: a, type: colour}\n")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	mysql := gatewaytest.WriteFile(t, "mysql.json", `{"engine": "mysql", "host": "h", "username": "u", "password": "p"}`)
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/no/such/file")
	for _, tc := range []struct{ name, value, says string }{
		{"GATEWAY_ADDR", "nowhere", "host:port"},
		{"GATEWAY_ADDR", "127.0.0.1:99999", "port"},
		{"GATEWAY_ADDR", taken.Addr().String(), "in use"},
		{"GATEWAY_ADMIN_ADDR", "x", "host:port"},
		{"GATEWAY_PLATFORM", "moon", "local"},
		{"GATEWAY_SCHEMA", "/no/such/file", "no such file"},
		{"GATEWAY_SCHEMA", broken, "broken.yaml:5: type \"colour\""},
		{"GATEWAY_DEMO", "perhaps", "true or false"},
		{"GATEWAY_DB_SECRET_ID", "file:/no/such/file", "no such file"},
		{"GATEWAY_DB_SECRET_ID", "file:" + mysql, "mysql\" is not supported, want postgres"},
		{"GATEWAY_DB_HOST", "db:port", "host:port"},
		{"GATEWAY_DB_SSLMODE", "perhaps", "verify-full"},
		{"GATEWAY_ADMIN_SECRET_ID", "my-secret", "AWS_REGION"},
		{"GATEWAY_ADMIN_SECRET_ID", "file:", "file:PATH"},
		{"GATEWAY_ADMIN_SECRET_ID", "file:/no/such/file", "no such file"},
		{"GATEWAY_API_KEYS_SECRET_ID", "file:" + mysql, `must be {"keys"`},
		{"GATEWAY_API_KEY_RATE", "-1", "at least 0"},
		{"GATEWAY_API_KEY_RATE", "NaN", "at least 0"},
		{"GATEWAY_SECRET_TTL", "0s", "above 0s"},
		{"GATEWAY_SECRET_GRACE", "-1s", "at least 0s"},
		{"GATEWAY_ENDPOINT_NAME", "-x", "letters"},
		{"GATEWAY_TRAINING_ALGORITHM", "magic", "linear-learner"},
		{"GATEWAY_TRAINING_MAX_RUNTIME", "long", "duration"},
		{"GATEWAY_TRAINING_HYPERPARAMETERS", "nosuch:1", "nosuch"},
		{"GATEWAY_GATE", "auc", "auc:-0.005"},
		{"GATEWAY_VERIFY_MAX_SHIFT", "-1", "at least 0"},
		{"GATEWAY_VERIFY_MAX_SHIFT", "far", "not a number"},
		{"GATEWAY_KEEP_MODELS", "0", "at least 1"},
		{"GATEWAY_KEEP_MODELS", "few", "whole number"},
		{"GATEWAY_LEARN_FROM", "friends", "must be one of all, known"},
		{"GATEWAY_OUTCOME_PROBATION", "soon", "such as 90d"},
		{"GATEWAY_RETRAIN_SCHEDULE", "hourly", "cron line"},
		{"GATEWAY_RETRAIN_SCHEDULE", "CRON_TZ=Europe/Berlin 0 2 * * *", "UTC"},
		{"GATEWAY_RETRAIN_SCHEDULE", "0 0 30 2 *", "no such day"},
		{"GATEWAY_RETRAIN_OUTCOMES", "-5", "at least 0"},
		{"GATEWAY_PREDICT_TIMEOUT", "fast", "duration"},
		{"GATEWAY_PREDICT_TIMEOUT", "-1s", "above 0s"},
		{"GATEWAY_MAX_BODY", "huge", "1MiB"},
		{"GATEWAY_IDEMPOTENCY_TTL", "10s", "at least 1m"},
		{"GATEWAY_SHUTDOWN_GRACE", "0s", "above 0s"},
		{"GATEWAY_LOG_FORMAT", "xml", "json"},
		{"GATEWAY_LOG_LEVEL", "loud", "debug"},
		{"GATEWAY_ADR", "127.0.0.1:0", "no such setting"},
	} {
		t.Run(tc.name+"="+tc.value, func(t *testing.T) {
			t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
			t.Setenv("GATEWAY_ADDR", "127.0.0.1:0")
			t.Setenv(tc.name, tc.value)
			code, out, errs := command(t, "serve")
			got := gatewaytest.Lines(errs)
			if code != exitUsage || out != "" || len(got) != 1 || !strings.Contains(got[0], tc.name) || !strings.Contains(got[0], tc.says) {
				t.Errorf("ended with %d: %q, want 2 and one line that names %s and says %q", code, errs, tc.name, tc.says)
			}
		})
	}
}

func TestASecondProcessOnTheSameDataDirIsRefused(t *testing.T) {
	cfg := newConfig(t)
	cfg.Demo = false
	g := serve(t, cfg)
	for _, args := range [][]string{{"serve"}, {"import", gatewaytest.WriteFile(t, "x.csv", "age\n1\n")}, {"retrain"}} {
		code, _, errs := command(t, args...)
		got := gatewaytest.Lines(errs)
		if code != exitFailed || len(got) != 1 || !strings.Contains(got[0], "in use") || !strings.Contains(got[0], "--url "+g.url) {
			t.Errorf("%v ended with %d: %q, want 1 and one line that says what to do", args, code, errs)
		}
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	serve(t, cfg)
}
