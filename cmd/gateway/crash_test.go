package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"gateway/api"
	"gateway/internal/modelswap"
)

// TestARenewalSurvivesKill9 kills the gateway with SIGKILL at the beginning of
// every step and right after its end, starts it again, and lets the renewal
// come to its end: one model, no step in a second attempt, nothing left over.
func TestARenewalSurvivesKill9(t *testing.T) {
	config(t)
	var data strings.Builder
	data.WriteString("customer_id,visits,plan,churned\n")
	for i := range 900 {
		fmt.Fprintf(&data, "%d,%d,%s,%d\n", i, i%40, []string{"free", "pro", "team"}[i%3], (i%3)*(i%7)/9)
	}
	file := writeFile(t, "customers.csv", data.String())
	code, schema, errs := command(t, "schema", "infer", file)
	if code != exitOK {
		t.Fatal(errs)
	}
	dir := t.TempDir()
	t.Setenv("GATEWAY_DATA_DIR", dir)
	t.Setenv("GATEWAY_SCHEMA", writeFile(t, "schema.yaml", schema))
	t.Setenv("GATEWAY_LOG_FORMAT", "json")
	t.Setenv("GATEWAY_TRAINING_ALGORITHM", "xgboost")
	if code, _, errs := command(t, "import", file); code != exitOK {
		t.Fatal(errs)
	}
	points := 0
	for _, step := range modelswap.Order() {
		for _, moment := range []string{"step started", "step succeeded"} {
			points++
			t.Run(fmt.Sprintf("%s, %s", step, moment), func(t *testing.T) { killAt(t, dir, step, moment, points) })
		}
	}
	t.Logf("killed at %d points", points)
}

// killAt starts a renewal, kills the process when it logs that the step is at
// that moment, and holds what the next process makes of it. It is the n-th
// renewal in the data dir.
func killAt(t *testing.T, dir string, step modelswap.StepName, moment string, n int) {
	addr := freePort(t)
	t.Setenv("GATEWAY_ADDR", addr)
	cmd, output := process(t, nil, "serve")
	cfg, err := loadConfig()
	if err != nil {
		t.Fatal(err)
	}
	client := alive(t, cfg, addr)
	r, err := client.Retrain(t.Context(), api.RetrainRequest{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, fmt.Sprintf("%s is at %q", step, moment), func() bool {
		for line := range strings.Lines(output.String()) {
			var event struct{ Msg, Renewal, Step string }
			if json.Unmarshal([]byte(line), &event) == nil && event.Msg == moment && event.Step == string(step) && event.Renewal == r.ID {
				return true
			}
		}
		return false
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	next, _ := process(t, nil, "serve")
	client = alive(t, cfg, addr)
	eventually(t, "the renewal has ended", func() bool {
		r, err = client.Renewal(t.Context(), r.ID)
		return err == nil && r.Status.Final()
	})
	if r.Status != modelswap.Succeeded {
		t.Errorf("the renewal is %s: %s", r.Status, r.Error)
	}
	for _, s := range r.Steps {
		if s.Attempt != 1 {
			t.Errorf("step %s is in attempt %d, want the first", s.Name, s.Attempt)
		}
	}
	models, err := client.Models(t.Context())
	if err != nil || len(models) != n {
		t.Errorf("there are %d models (%v), want one of each of the %d renewals", len(models), err, n)
	}
	for _, m := range models {
		if m.Serving != (r.Model != nil && m.Name == *r.Model) {
			t.Errorf("model %s serves: %v", m.Name, m.Serving)
		}
	}
	if err := next.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = next.Wait()
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".part") {
			t.Errorf("%s is left over", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// alive waits until the gateway at addr answers, and returns a client of it.
func alive(t *testing.T, cfg Config, addr string) *api.Client {
	t.Helper()
	eventually(t, "the gateway answers", func() bool {
		res, err := http.Get("http://" + addr + "/livez")
		if err != nil {
			return false
		}
		return res.Body.Close() == nil
	})
	token, err := readToken(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &api.Client{BaseURL: "http://" + addr, Token: token}
}
