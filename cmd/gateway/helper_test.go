package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway/api"
	"gateway/api/client"
	"gateway/internal/modelswap"
	"gateway/internal/pgtest"
)

// TestMain lets the test binary stand in for the gateway: tests that need a
// process of their own, to send it signals, run it with this variable set.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_AS_GATEWAY") == "1" {
		_ = os.Unsetenv("RUN_AS_GATEWAY")
		recordPeak()
		os.Exit(runProcess(crashPoints()))
	}
	// Tests that run in parallel wait for leases and processes most of the time.
	_ = flag.Set("test.parallel", "6")
	code := pgtest.Run(m)
	removePrepared()
	os.Exit(code)
}

// patience bounds what a test waits for. It is far above what anything takes.
const patience = 2 * time.Minute

// config is a gateway on a free port with a data dir of its own.
func config(t *testing.T) Config {
	t.Helper()
	t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
	t.Setenv("GATEWAY_ADDR", "127.0.0.1:0")
	cfg, err := loadConfig()
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// gatewayUnderTest runs in this process.
type gatewayUnderTest struct {
	*app
	url    string // of the listener for operators
	client *client.Client
	stop   func() error
	logs   *lockedBuffer
}

func start(t *testing.T, cfg Config) *gatewayUnderTest {
	t.Helper()
	return startWith(t, cfg, options{})
}

// startWith is start with options besides the log.
func startWith(t *testing.T, cfg Config, o options) *gatewayUnderTest {
	t.Helper()
	logs := &lockedBuffer{}
	o.log = slog.New(slog.NewJSONHandler(logs, nil))
	a, err := openApp(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.serve(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-served })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	token, err := readAdminToken(cfg)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	return &gatewayUnderTest{app: a, url: a.url(), stop: stop, logs: logs,
		client: &client.Client{BaseURL: a.url(), Token: token, HTTP: &http.Client{Transport: transport}}}
}

// ready waits until /readyz is 200.
func (g *gatewayUnderTest) ready(t *testing.T) {
	t.Helper()
	eventually(t, "/readyz is 200", func() bool {
		res, err := http.Get(g.url + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode == http.StatusOK
	})
}

// renew starts a renewal and waits for its end.
func (g *gatewayUnderTest) renew(t *testing.T, req api.RetrainRequest) *modelswap.Renewal {
	t.Helper()
	r, err := g.client.Retrain(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return g.finished(t, r.ID)
}

func (g *gatewayUnderTest) finished(t *testing.T, id string) (r *modelswap.Renewal) {
	t.Helper()
	eventually(t, "the renewal has ended", func() bool {
		var err error
		if r, err = g.client.Renewal(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		return r.Status.Final()
	})
	return r
}

// eventually looks again and again until what is true, at first often: under
// the race detector looking is work too.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for wait := 5 * time.Millisecond; !is(); wait = min(wait*5/4, 50*time.Millisecond) {
		select {
		case <-time.After(wait):
		case <-deadline.C:
			t.Fatalf("after %s it is still not so that %s", patience, what)
		}
	}
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// command runs the command line in this process.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(&console{ctx: t.Context(), stdout: &out, stderr: &errs}, args)
	return code, out.String(), errs.String()
}

// process runs the gateway as a process of its own.
func process(t *testing.T, env []string, args ...string) (*exec.Cmd, *lockedBuffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), append(env, "RUN_AS_GATEWAY=1")...)
	output := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd, output
}

// sample is the article's sample customer.
func sample() map[string]any {
	return map[string]any{"age": 34, "job": "technician", "marital": "married", "education": "high.school",
		"default": "no", "housing": "yes", "loan": "no", "contact": "cellular", "month": "jun", "day_of_week": "wed",
		"duration": 190, "campaign": 1, "pdays": 3, "previous": 4, "poutcome": "success", "emp_var_rate": -1.7,
		"cons_price_idx": 94.055, "cons_conf_idx": -39.8, "euribor3m": 0.715, "nr_employed": 4991.6}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }
