package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gateway/api"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/testsize"

	"golang.org/x/time/rate"
)

// load is clients that predict by features, and what they were answered.
type load struct {
	url     string
	stop    chan struct{}
	clients sync.WaitGroup

	mu       sync.Mutex
	answered map[string]bool
	n        atomic.Int64
	failed   atomic.Int64
	first    string // failure
}

// startLoad lets clients predict until end is called, or until the gateway is
// gone, if it may be killed.
func startLoad(url string, clients int, mayDie bool) *load {
	return startPaced(url, clients, rate.Inf, mayDie)
}

// startPaced is startLoad with a maximum number of predictions a second.
func startPaced(url string, clients int, perSecond rate.Limit, mayDie bool) *load {
	pace := rate.NewLimiter(perSecond, clients)
	l := &load{url: url, stop: make(chan struct{}), answered: map[string]bool{}}
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	body, _ := json.Marshal(map[string]any{"features": sample()})
	for range clients {
		l.clients.Go(func() {
			defer transport.CloseIdleConnections()
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				_ = pace.Wait(context.Background())
				id, err := predictOnce(&http.Client{Transport: transport}, url, body)
				switch {
				case err == nil:
					l.mu.Lock()
					l.answered[id] = true
					l.mu.Unlock()
					l.n.Add(1)
				case mayDie:
					return
				default:
					if l.failed.Add(1) == 1 {
						l.first = err.Error()
					}
				}
			}
		})
	}
	return l
}

// end stops the clients and returns the ids that they were answered.
func (l *load) end() map[string]bool {
	close(l.stop)
	l.clients.Wait()
	return l.answered
}

func predictOnce(client *http.Client, url string, body []byte) (id string, err error) {
	res, err := client.Post(url+"/predict", "application/json", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	var p api.Prediction
	if err := json.Unmarshal(text, &p); err != nil || res.StatusCode != http.StatusOK || p.PredictionID == "" {
		return "", fmt.Errorf("%d %s", res.StatusCode, text)
	}
	return p.PredictionID, nil
}

// inLedger returns how often each prediction is in the database.
func inLedger(t *testing.T, driver, source string) map[string]int {
	t.Helper()
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT id FROM predictions`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := map[string]int{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		found[id]++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// wantOnce holds every answered prediction to be in the ledger once.
func wantOnce(t *testing.T, answered map[string]bool, ledger map[string]int) {
	t.Helper()
	missing, doubled := 0, 0
	for id := range answered {
		switch n := ledger[id]; {
		case n == 0:
			missing++
		case n > 1:
			doubled++
		}
	}
	if missing+doubled > 0 {
		t.Errorf("of %d answered predictions %d are not in the ledger and %d more than once", len(answered), missing, doubled)
	}
}

// model puts customers and a model into a gateway whose data dir cannot be
// prepared: it has Postgres, or trains on SageMaker.
func (g *gatewayUnderTest) model(t *testing.T) {
	t.Helper()
	g.learn(t, 1500, false)
	g.ready(t)
}

// drained waits until nothing is left in the outbox.
func (g *gatewayUnderTest) drained(t *testing.T) {
	t.Helper()
	eventually(t, "the outbox is drained", func() bool { return g.components.outbox.Stats().Rows == 0 })
}

// TestKill9LosesNoAnsweredPrediction kills the gateway under load, again and
// again. Every prediction that a client has an answer for must be in the ledger
// in the end, once.
func TestKill9LosesNoAnsweredPrediction(t *testing.T) {
	const clients, atLeast = 8, 40
	rounds := testsize.Of(4, 50)
	cfg := config(t)
	cfg.Demo = false
	prepare(t, cfg, generated(1500))
	addr := freePort(t)
	t.Setenv("GATEWAY_ADDR", addr)
	t.Setenv("GATEWAY_DEMO", "false")
	t.Setenv("GATEWAY_LOG_FORMAT", "json")
	ready := func() {
		eventually(t, "/readyz is 200", func() bool {
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
		l := startLoad("http://"+addr, clients, true)
		eventually(t, "the load is under way", func() bool { return l.n.Load() > int64(atLeast+round) })
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		for id := range l.end() {
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
	last := start(t, cfg)
	last.drained(t)
	if err := last.stop(); err != nil {
		t.Fatal(err)
	}
	wantOnce(t, answered, inLedger(t, "sqlite", filepath.Join(cfg.DataDir, "gateway.db")))
	t.Logf("killed %d times, %d answers, rows were recovered %d times", rounds, len(answered), recovered)
}

// TestARestartWithoutTrafficLosesNothing restarts twice, so that nothing waits in
// the outbox, and kills the gateway once it has answered.
func TestARestartWithoutTrafficLosesNothing(t *testing.T) {
	cfg := config(t)
	cfg.Demo = false
	g := startPrepared(t, cfg, generated(1500))
	answered := map[string]bool{}
	body, err := json.Marshal(map[string]any{"features": sample()})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(url string, times int) {
		t.Helper()
		for range times {
			id, err := predictOnce(http.DefaultClient, url, body)
			if err != nil {
				t.Fatal(err)
			}
			answered[id] = true
		}
	}
	ask(g.servers[0].URL(), 50)
	g.drained(t)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	addr := freePort(t)
	t.Setenv("GATEWAY_ADDR", addr)
	t.Setenv("GATEWAY_DEMO", "false")
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM, syscall.SIGKILL} {
		cmd, output := process(t, nil, "serve")
		eventually(t, "/readyz is 200", func() bool {
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
	last := start(t, cfg)
	last.drained(t)
	if err := last.stop(); err != nil {
		t.Fatal(err)
	}
	wantOnce(t, answered, inLedger(t, "sqlite", filepath.Join(cfg.DataDir, "gateway.db")))
}

// TestADataDirMoves stops a gateway whose database does not take rows, moves
// its data dir, and starts another one there.
func TestADataDirMoves(t *testing.T) {
	cfg := config(t)
	cfg.Demo = false
	cfg.ShutdownGrace = 500 * time.Millisecond
	g := startPrepared(t, cfg, generated(1500))
	// SQLite has one writer: while another program is it, nothing is drained.
	db, err := sql.Open("sqlite", "file:"+filepath.Join(cfg.DataDir, "gateway.db")+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	answered := map[string]bool{}
	for range 25 {
		p, err := g.client.Predict(t.Context(), api.PredictionRequest{Features: sample()})
		if err != nil {
			t.Fatal(err)
		}
		answered[p.PredictionID] = true
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(g.logs.String(), "stay in the outbox until the next start") {
		t.Errorf("it was not said that rows are left: %s", g.logs)
	}
	if err := errors.Join(tx.Rollback(), db.Close()); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(cfg.DataDir, moved); err != nil {
		t.Fatal(err)
	}
	cfg.DataDir = moved
	next := start(t, cfg)
	next.drained(t)
	if err := next.stop(); err != nil {
		t.Fatal(err)
	}
	wantOnce(t, answered, inLedger(t, "sqlite", filepath.Join(moved, "gateway.db")))
}

func TestOutcomesFindPredictionsAtOnce(t *testing.T) {
	cfg := config(t)
	cfg.Demo = false
	g := startPrepared(t, cfg, generated(1500))
	for i := range 50 {
		p, err := g.client.Predict(t.Context(), api.PredictionRequest{CustomerID: fmt.Sprint("new-", i), Features: sample()})
		if err != nil {
			t.Fatal(err)
		}
		outcome := api.Outcome{PredictionID: p.PredictionID, Outcome: 1}
		if i%2 == 1 {
			outcome = api.Outcome{CustomerID: fmt.Sprint("new-", i), Outcome: 1}
		}
		for _, again := range []bool{false, true} {
			match, err := g.client.Outcome(t.Context(), outcome)
			if err != nil || match.PredictionID == nil || *match.PredictionID != p.PredictionID || match.Duplicate != again {
				t.Fatalf("outcome %d matched %+v (%v), want the prediction %s, duplicate: %v", i, match, err, p.PredictionID, again)
			}
		}
	}
	_, err := g.client.Outcome(t.Context(), api.Outcome{PredictionID: failure.NewID(), Outcome: 1})
	var problem *api.Problem
	if !errors.As(err, &problem) || problem.Status != http.StatusNotFound {
		t.Errorf("an unknown prediction: %v, want 404", err)
	}
	g.drained(t)
}

// TestAnOutcomeMayComeToAnotherReplica predicts at one gateway and reports the
// outcome, at once, to another one on the same Postgres.
func TestAnOutcomeMayComeToAnotherReplica(t *testing.T) {
	cfg := config(t)
	cfg.Demo, cfg.DBSecretID = false, "file:"+databaseSecret(t)
	one := start(t, cfg)
	one.model(t)
	cfg.DataDir = t.TempDir()
	other := start(t, cfg)
	other.ready(t)
	for i := range 20 {
		customer := fmt.Sprint("new-", i)
		p, err := one.client.Predict(t.Context(), api.PredictionRequest{CustomerID: customer, Features: sample()})
		if err != nil {
			t.Fatal(err)
		}
		outcome := api.Outcome{PredictionID: p.PredictionID, Outcome: 1}
		if i%2 == 1 {
			outcome = api.Outcome{CustomerID: customer, Outcome: 1}
		}
		match, err := other.client.Outcome(t.Context(), outcome)
		if err != nil || match.CustomerID != customer || match.PredictionID == nil || *match.PredictionID != p.PredictionID {
			t.Fatalf("outcome %d matched %+v (%v), want the prediction %s", i, match, err, p.PredictionID)
		}
	}
}

func TestOldPredictionsLeaveTheLedger(t *testing.T) {
	cfg := config(t)
	cfg.Demo = false
	g := start(t, cfg)
	now := time.Now()
	if err := g.components.store.CheckClock(t.Context(), now.Add(-25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	var rows []predict.Prediction
	for i := range 1200 {
		age := 89 * 24 * time.Hour
		if i < 1100 {
			age = 91 * 24 * time.Hour
		}
		rows = append(rows, predict.Prediction{ID: fmt.Sprint(i), CustomerID: "c", CreatedAt: now.Add(-age), Features: []byte(`{}`), Model: "m", Schema: "s"})
	}
	if err := g.components.store.Append(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	// A clock a day and an hour ahead of the last check removes nothing.
	if removed, err := removeOld(t.Context(), g.components.store, 90*24*time.Hour); removed != 0 || err == nil {
		t.Errorf("with a clock in doubt got %d rows removed (%v), want an error", removed, err)
	}
	if err := g.components.store.CheckClock(t.Context(), now.Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 2 { // two gateways
		all.Go(func() { retain(ctx, g.components.store, 90*24*time.Hour, g.log) })
	}
	eventually(t, "the old predictions are gone", func() bool {
		return len(inLedger(t, "sqlite", filepath.Join(cfg.DataDir, "gateway.db"))) == 100
	})
	cancel()
	all.Wait()
}

func TestPersonalFeaturesAreHashedWithAKeyOfTheDataDir(t *testing.T) {
	cfg := config(t)
	cfg.Demo, cfg.Ledger.Personal = false, ledgerHash
	g := start(t, cfg)
	path := filepath.Join(cfg.DataDir, ledgerKeyFile)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
	key := readAll(t, path)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(g.logs.String(), strings.TrimSpace(key)) {
		t.Error("the key is in the log")
	}
	start(t, cfg)
	if readAll(t, path) != key {
		t.Error("the next start made another key")
	}
}

func TestSettingsOfTheLedger(t *testing.T) {
	tests := []struct {
		name, value string
		want        string // of the error; empty: none
	}{
		{"GATEWAY_LEDGER_RETENTION", "90d", ""},
		{"GATEWAY_LEDGER_RETENTION", "36h", ""},
		{"GATEWAY_LEDGER_RETENTION", "0", ""},
		{"GATEWAY_LEDGER_RETENTION", "-1d", "GATEWAY_LEDGER_RETENTION"},
		{"GATEWAY_LEDGER_RETENTION", "1.5d", "must be 0 or a time such as 90d or 36h"},
		{"GATEWAY_LEDGER_RETENTION", "5s", "must be 0 or a time such as 90d or 36h"},
		{"GATEWAY_OUTBOX_MAX_SIZE", "2GiB", ""},
		{"GATEWAY_OUTBOX_MAX_SIZE", "512KiB", "GATEWAY_OUTBOX_MAX_SIZE: 512KiB must be at least 1MiB"},
		{"GATEWAY_OUTBOX_POLICY", "panic", `GATEWAY_OUTBOX_POLICY: "panic" must be one of drop-oldest, refuse`},
		{"GATEWAY_OUTBOX_SYNC", "never", `GATEWAY_OUTBOX_SYNC: "never" must be one of always, interval`},
		{"GATEWAY_LEDGER_PERSONAL", "keep", `GATEWAY_LEDGER_PERSONAL: "keep" must be one of omit, hash`},
	}
	for _, tt := range tests {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			t.Setenv(tt.name, tt.value)
			_, err := loadConfig()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	t.Run("gateways that share a database must share the key", func(t *testing.T) {
		t.Setenv("GATEWAY_DB_SECRET_ID", "file:database.json")
		t.Setenv("GATEWAY_LEDGER_PERSONAL", "hash")
		if _, err := loadConfig(); err == nil || !strings.Contains(err.Error(), "GATEWAY_LEDGER_KEY_SECRET_ID") {
			t.Errorf("got %v", err)
		}
	})
	var age Age
	if err := age.Decode("90d"); err != nil || time.Duration(age) != 90*24*time.Hour {
		t.Errorf("90d is %v (%v)", time.Duration(age), err)
	}
}
