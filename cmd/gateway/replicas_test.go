package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gateway/api"
	"gateway/internal/modelswap"
	"gateway/internal/pgtest"
)

// databaseSecret writes the secret of a new Postgres database.
func databaseSecret(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	host, port := u.Hostname(), u.Port()
	if host == "" { // a socket, named by a parameter
		host, port = u.Query().Get("host"), u.Query().Get("port")
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatalf("%v: %v", u.Redacted(), err)
	}
	text, err := json.Marshal(map[string]any{"engine": "postgres", "host": host, "port": number, "username": u.User.Username(),
		"password": password, "dbname": strings.TrimPrefix(u.Path, "/"), "sslmode": "disable"})
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "database.json", string(text))
}

// replica is a gateway process that shares a database with others.
type replica struct {
	cmd    *exec.Cmd
	output *lockedBuffer
	client *api.Client
}

// TestReplicasShareOneRenewal asks three gateways on one Postgres to retrain
// at once, and kills the one that works on the renewal in the middle of it.
// There is one renewal; another gateway takes it over, makes again what was
// only on the dead one's disk, and all that live serve its model.
func TestReplicasShareOneRenewal(t *testing.T) {
	config(t)
	t.Setenv("GATEWAY_DB_SECRET_ID", "file:"+databaseSecret(t))
	t.Setenv("GATEWAY_DEMO", "false")
	t.Setenv("GATEWAY_LOG_FORMAT", "json")
	t.Setenv("GATEWAY_TRAINING_ALGORITHM", "xgboost")
	token := writeFile(t, "tokens.json", `{"tokens": ["test-token"]}`)
	t.Setenv("GATEWAY_ADMIN_SECRET_ID", "file:"+token)
	var data strings.Builder
	data.WriteString("customer_id,visits,plan,churned\n")
	for i := range 900 {
		fmt.Fprintf(&data, "%d,%d,%s,%d\n", i, i%40, []string{"free", "pro", "team"}[i%3], (i%3)*(i%7)/9)
	}
	file := writeFile(t, "customers.csv", data.String())
	_, schema, _ := command(t, "schema", "infer", file)
	t.Setenv("GATEWAY_SCHEMA", writeFile(t, "schema.yaml", schema))
	if code, _, errs := command(t, "import", file); code != exitOK {
		t.Fatal(errs)
	}

	replicas := make([]*replica, 3)
	for i := range replicas {
		addr := freePort(t)
		t.Setenv("GATEWAY_ADDR", addr)
		t.Setenv("GATEWAY_DATA_DIR", t.TempDir())
		cmd, output := process(t, nil, "serve")
		replicas[i] = &replica{cmd, output, &api.Client{BaseURL: "http://" + addr, Token: "test-token"}}
	}
	for _, r := range replicas {
		eventually(t, "the replica answers", func() bool {
			res, err := http.Get(r.client.BaseURL + "/livez")
			return err == nil && res.Body.Close() == nil
		})
	}

	var id string
	var mu sync.Mutex
	var asked sync.WaitGroup
	refused := 0
	for i := range 30 {
		r := replicas[i%3]
		asked.Go(func() {
			made, err := r.client.Retrain(t.Context(), api.RetrainRequest{Overrides: modelswap.Overrides{
				Hyperparameters: modelswap.Hyperparameters{"num_round": "3000", "max_depth": "10", "gamma": "0"}}})
			mu.Lock()
			defer mu.Unlock()
			var problem *api.Problem
			switch {
			case err == nil && id == "":
				id = made.ID
			case errors.As(err, &problem) && problem.Status == http.StatusConflict:
				refused++
			default:
				t.Errorf("retrain gave %v (%v)", made, err)
			}
		})
	}
	asked.Wait()
	if id == "" || refused != 29 {
		t.Fatalf("renewal %q was made and %d requests refused, want one and 29", id, refused)
	}

	var working *replica
	eventually(t, "a replica trains", func() bool {
		for _, r := range replicas {
			if strings.Contains(r.output.String(), `"msg":"step started","renewal":"`+id+`","step":"train"`) {
				working = r
			}
		}
		return working != nil
	})
	if err := working.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = working.cmd.Wait()

	var alive []*replica
	for _, r := range replicas {
		if r != working {
			alive = append(alive, r)
		}
	}
	var end *modelswap.Renewal
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(alive[0].output.String(), alive[1].output.String())
		}
	})
	eventually(t, "the renewal has ended", func() bool {
		var err error
		end, err = alive[0].client.Renewal(t.Context(), id)
		return err == nil && end.Status.Final()
	})
	if end.Status != modelswap.Succeeded || end.Step(modelswap.Export).Detail["redone"] == nil {
		t.Errorf("it is %s (%s), and export says %v; want success, and that the files were made again",
			end.Status, end.Error, end.Step(modelswap.Export).Detail)
	}
	models, err := alive[0].client.Models(t.Context())
	if err != nil || len(models) != 1 {
		t.Errorf("there are %d models (%v), want one", len(models), err)
	}
	for _, r := range alive {
		eventually(t, "the replica serves the new model", func() bool {
			p, err := r.client.Predict(t.Context(), api.PredictionRequest{Features: map[string]any{"visits": 3, "plan": "pro"}})
			return err == nil && p.Model == *end.Model
		})
	}
}
