package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gateway/api"
	"gateway/api/client"
	"gateway/api/edge"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
)

// replica is a gateway process that shares a database with others.
type replica struct {
	cmd    *exec.Cmd
	output *gatewaytest.Buffer
	client *client.Client
}

// cluster starts n gateways on one Postgres that has the small data. The one
// that trains first waits, once its training has begun, until the file "go" is
// made in the folder that CRASH_DIR names.
func cluster(t *testing.T, n int) []*replica {
	t.Helper()
	newConfig(t)
	file, schema := gatewaytest.SmallData(t)
	t.Setenv("GATEWAY_SCHEMA", schema)
	t.Setenv("GATEWAY_DB_SECRET_ID", "file:"+gatewaytest.DatabaseSecret(t))
	t.Setenv("GATEWAY_DEMO", "false")
	t.Setenv("GATEWAY_LOG_FORMAT", "json")
	t.Setenv("GATEWAY_TRAINING_ALGORITHM", "xgboost")
	t.Setenv("GATEWAY_ADMIN_SECRET_ID", "file:"+gatewaytest.WriteFile(t, "tokens.json", `{"tokens": ["test-token"]}`))
	if code, _, errs := command(t, "import", file); code != exitOK {
		t.Fatal(errs)
	}
	crash := t.TempDir()
	t.Setenv(crashDirVariable, crash)
	if err := os.WriteFile(filepath.Join(crash, "hold"), []byte("StartTraining after"), 0o600); err != nil {
		t.Fatal(err)
	}
	replicas := make([]*replica, n)
	for i := range replicas {
		addr := gatewaytest.FreePort(t)
		t.Setenv("GATEWAY_ADDR", addr)
		t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
		cmd, output := process(t, nil, "serve")
		replicas[i] = &replica{cmd, output, &client.Client{BaseURL: "http://" + addr, Token: "test-token"}}
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("replica %d: %s", i, output.String())
			}
		})
	}
	for _, r := range replicas {
		gatewaytest.Eventually(t, "the replica answers", func() bool {
			res, err := http.Get(r.client.BaseURL + "/livez")
			return err == nil && res.Body.Close() == nil
		})
	}
	return replicas
}

// trains waits until one of the replicas trains the renewal's model, and tells
// which, and which are the others.
func trains(t *testing.T, replicas []*replica, id string) (working *replica, others []*replica) {
	t.Helper()
	gatewaytest.Eventually(t, "a replica trains", func() bool {
		for _, r := range replicas {
			if strings.Contains(r.output.String(), `"msg":"step started","renewal":"`+id+`","step":"train"`) {
				working = r
			}
		}
		// The step is logged before the training that is held begins.
		return working != nil && !exists(filepath.Join(os.Getenv(crashDirVariable), "hold"))
	})
	for _, r := range replicas {
		if r != working {
			others = append(others, r)
		}
	}
	return working, others
}

// ended waits for the end of the renewal, as a replica sees it.
func (r *replica) ended(t *testing.T, id string) (end *modelswap.Renewal) {
	t.Helper()
	gatewaytest.Eventually(t, "the renewal has ended", func() bool {
		var err error
		end, err = r.client.Renewal(t.Context(), id)
		return err == nil && end.Status.Final()
	})
	return end
}

// takenOver reads in the renewal's history how long after since another replica
// went on with it.
func takenOver(end *modelswap.Renewal, since time.Time) time.Duration {
	return end.Step(modelswap.Export).StartedAt.Sub(since)
}

// TestReplicasShareOneRenewal asks three gateways on one Postgres to retrain
// a hundred times at once, and kills the one that works on the renewal in the
// middle of it. There is one renewal; another gateway takes it over within ten
// seconds, makes again what was only on the dead one's disk, and all that live
// serve its model.
func TestReplicasShareOneRenewal(t *testing.T) {
	replicas := cluster(t, 3)
	const requests = 100
	var id string
	var mu sync.Mutex
	var asked sync.WaitGroup
	refused := 0
	for i := range requests {
		r := replicas[i%3]
		asked.Go(func() {
			made, err := r.client.Retrain(t.Context(), api.RetrainRequest{})
			mu.Lock()
			defer mu.Unlock()
			var problem *edge.Problem
			switch {
			case err == nil && id == "":
				id = made.ID
			case errors.As(err, &problem) && problem.Status == http.StatusConflict && strings.Contains(problem.Detail, "renewal "):
				refused++
			default:
				t.Errorf("retrain gave %v (%v)", made, err)
			}
		})
	}
	asked.Wait()
	if id == "" || refused != requests-1 {
		t.Fatalf("renewal %q was made and %d requests refused, want one and %d", id, refused, requests-1)
	}
	working, alive := trains(t, replicas, id)
	if err := working.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	died := time.Now()
	_ = working.cmd.Wait()
	end := alive[0].ended(t, id)
	if end.Status != modelswap.Succeeded || end.Step(modelswap.Export).Detail["redone"] == nil {
		t.Errorf("it is %s (%s), and export says %v; want success, and that the files were made again",
			end.Status, end.Error, end.Step(modelswap.Export).Detail)
	}
	after := takenOver(end, died)
	t.Logf("one renewal for %d requests; taken over %s after its owner's death", requests, after.Round(10*time.Millisecond))
	if after <= 0 || after > 10*time.Second {
		t.Errorf("it was taken over %s after its owner's death, want at most 10 s", after)
	}
	models, err := alive[0].client.Models(t.Context())
	if err != nil || len(models) != 1 {
		t.Errorf("there are %d models (%v), want one", len(models), err)
	}
	for _, r := range alive {
		gatewaytest.Eventually(t, "the replica serves the new model", func() bool {
			p, err := r.client.Predict(t.Context(), api.PredictionRequest{Features: map[string]any{"visits": 3, "plan": "pro"}})
			return err == nil && p.Model == *end.Model
		})
	}
}

// TestAFrozenReplicaChangesNothing stops the process that works on a renewal
// (SIGSTOP) for longer than its lease, lets another one finish, and wakes it up.
func TestAFrozenReplicaChangesNothing(t *testing.T) {
	replicas := cluster(t, 2)
	r, err := replicas[0].client.Retrain(t.Context(), api.RetrainRequest{})
	if err != nil {
		t.Fatal(err)
	}
	frozen, others := trains(t, replicas, r.ID)
	if err := frozen.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = frozen.cmd.Process.Signal(syscall.SIGCONT) }) // a stopped process cannot be waited for
	end := others[0].ended(t, r.ID)
	if end.Status != modelswap.Succeeded {
		t.Fatalf("it is %s: %s", end.Status, end.Error)
	}
	picture := func() string {
		t.Helper()
		renewals, err1 := others[0].client.Renewals(t.Context(), 0, "")
		models, err2 := others[0].client.Models(t.Context())
		text, err3 := json.Marshal(map[string]any{"renewals": renewals, "models": models})
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before := picture()
	if err := os.WriteFile(filepath.Join(os.Getenv(crashDirVariable), "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := frozen.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, "the thawed replica sees that it has lost the renewal", func() bool {
		log := frozen.output.String()
		return strings.Contains(log, "another process claimed the renewal") ||
			strings.Contains(log, "the renewal's record cannot be read or saved") // it was frozen in a transaction, which the server ended
	})
	// It serves what the other one has deployed, and takes no part in the past.
	gatewaytest.Eventually(t, "the thawed replica serves the new model", func() bool {
		p, err := frozen.client.Predict(t.Context(), api.PredictionRequest{Features: map[string]any{"visits": 3, "plan": "pro"}})
		return err == nil && p.Model == *end.Model
	})
	if after := picture(); after != before {
		t.Errorf("the thawed replica changed\n%s\nto\n%s", before, after)
	}
	next, err := frozen.client.Retrain(t.Context(), api.RetrainRequest{Overrides: modelswap.Overrides{Gate: "off"}})
	if err != nil {
		t.Fatal(err)
	}
	if end := frozen.ended(t, next.ID); end.Status != modelswap.Succeeded {
		t.Errorf("the next renewal is %s: %s", end.Status, end.Error)
	}
}
