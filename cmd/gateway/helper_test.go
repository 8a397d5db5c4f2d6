package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"testing"

	"gateway/api"
	"gateway/api/client"
	"gateway/internal/app"
	"gateway/internal/config"
	"gateway/internal/gatewaytest"
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
	// auto, the default, takes seconds. Tests that are about it ask for it.
	_ = os.Setenv("GATEWAY_TRAINING_ALGORITHM", "linear-learner")
	// Tests that run in parallel wait for leases and processes most of the time.
	_ = flag.Set("test.parallel", "6")
	code := pgtest.Run(m)
	prepared.Remove()
	os.Exit(code)
}

// command runs the command line in this process.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(&console{ctx: t.Context(), stdout: &out, stderr: &errs}, args)
	return code, out.String(), errs.String()
}

// process runs the gateway as a process of its own.
func process(t *testing.T, env []string, args ...string) (*exec.Cmd, *gatewaytest.Buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), append(env, "RUN_AS_GATEWAY=1")...)
	output := &gatewaytest.Buffer{}
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

// newConfig returns the settings of a gateway on a free port with a data dir of its own.
func newConfig(t *testing.T) config.Config {
	t.Helper()
	t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
	t.Setenv("GATEWAY_ADDR", "127.0.0.1:0")
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// service is a gateway in this process.
type service struct {
	url    string
	client *client.Client
	stop   func() error
}

// demoSize is how many customers the demo generates.
const demoSize = 1500

// serve starts a gateway.
func serve(t *testing.T, cfg config.Config) *service {
	t.Helper()
	a, err := app.Open(t.Context(), cfg, app.Options{Log: slog.New(slog.DiscardHandler), DemoCustomers: demoSize})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-served })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	token, err := app.ReadAdminToken(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &service{a.URL(), &client.Client{BaseURL: a.URL(), Token: token}, stop}
}

var prepared gatewaytest.PreparedDirs

// fill fills the data dir of a gateway that has not been started as a first start
// does: with generated customers and a model.
func fill(t *testing.T, cfg config.Config) {
	t.Helper()
	prepared.Copy(t, "demo", cfg.DataDir, func(dir string) {
		filled := cfg
		filled.DataDir, filled.Demo = dir, true
		s := serve(t, filled)
		gatewaytest.Eventually(t, "the first renewal has ended", func() bool {
			renewals, err := s.client.Renewals(t.Context(), 1, "")
			return err == nil && len(renewals) == 1 && renewals[0].Status.Final()
		})
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// serveFilled starts a gateway that has customers and a model.
func serveFilled(t *testing.T, cfg config.Config) *service {
	t.Helper()
	fill(t, cfg)
	s := serve(t, cfg)
	gatewaytest.Eventually(t, "it is ready", func() bool {
		ready, err := s.client.Ready(t.Context())
		return err == nil && ready.Status == "ok"
	})
	return s
}

// renew starts a renewal and waits for its end.
func (s *service) renew(t *testing.T, req api.RetrainRequest) *modelswap.Renewal {
	t.Helper()
	r, err := s.client.Retrain(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, "the renewal has ended", func() bool {
		if r, err = s.client.Renewal(t.Context(), r.ID); err != nil {
			t.Fatal(err)
		}
		return r.Status.Final()
	})
	return r
}

// drained waits until nothing is left in the outbox.
func (s *service) drained(t *testing.T) {
	t.Helper()
	gatewaytest.Eventually(t, "the outbox is drained", func() bool {
		status, err := s.client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(status["outbox"].(map[string]any)["rows"]) == "0"
	})
}
