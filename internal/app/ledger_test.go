package app

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway/api"
	"gateway/api/edge"
	"gateway/internal/config"
	"gateway/internal/failure"
	"gateway/internal/gatewaytest"
	"gateway/internal/predict"
)

// model puts customers and a model into a gateway whose data dir cannot be
// prepared: it has Postgres, or trains on SageMaker.
func (g *gatewayUnderTest) model(t *testing.T) {
	t.Helper()
	g.learn(t, 600, false)
	g.ready(t)
}

// drained waits until nothing is left in the outbox.
func (g *gatewayUnderTest) drained(t *testing.T) {
	t.Helper()
	gatewaytest.Eventually(t, "the outbox is drained", func() bool { return g.components.outbox.Stats().Rows == 0 })
}

// TestADataDirMoves stops a gateway whose database does not take rows, moves
// its data dir, and starts another one there.
func TestADataDirMoves(t *testing.T) {
	cfg := newConfig(t)
	cfg.Demo = false
	cfg.ShutdownGrace = 500 * time.Millisecond
	g := startPrepared(t, cfg, generated(600))
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
		p, err := g.client.Predict(t.Context(), api.PredictionRequest{Features: gatewaytest.Sample()})
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
	gatewaytest.WantOnce(t, answered, gatewaytest.InLedger(t, "sqlite", filepath.Join(moved, "gateway.db")))
}

func TestOutcomesFindPredictionsAtOnce(t *testing.T) {
	cfg := newConfig(t)
	cfg.Demo = false
	g := startPrepared(t, cfg, generated(600))
	for i := range 50 {
		p, err := g.client.Predict(t.Context(), api.PredictionRequest{CustomerID: fmt.Sprint("new-", i), Features: gatewaytest.Sample()})
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
	var problem *edge.Problem
	if !errors.As(err, &problem) || problem.Status != http.StatusNotFound {
		t.Errorf("an unknown prediction: %v, want 404", err)
	}
	g.drained(t)
}

// TestAnOutcomeMayComeToAnotherReplica predicts at one gateway and reports the
// outcome, at once, to another one on the same Postgres.
func TestAnOutcomeMayComeToAnotherReplica(t *testing.T) {
	cfg := newConfig(t)
	cfg.Demo, cfg.DBSecretID = false, "file:"+gatewaytest.DatabaseSecret(t)
	one := start(t, cfg)
	one.model(t)
	cfg.DataDir = t.TempDir()
	other := start(t, cfg)
	other.ready(t)
	for i := range 20 {
		customer := fmt.Sprint("new-", i)
		p, err := one.client.Predict(t.Context(), api.PredictionRequest{CustomerID: customer, Features: gatewaytest.Sample()})
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
	cfg := newConfig(t)
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
	if err := g.models[0].line.Append(t.Context(), rows); err != nil {
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
	gatewaytest.Eventually(t, "the old predictions are gone", func() bool {
		return len(gatewaytest.InLedger(t, "sqlite", filepath.Join(cfg.DataDir, "gateway.db"))) == 100
	})
	cancel()
	all.Wait()
}

func TestPersonalFeaturesAreHashedWithAKeyOfTheDataDir(t *testing.T) {
	cfg := newConfig(t)
	cfg.Demo, cfg.Ledger.Personal = false, config.LedgerHash
	g := start(t, cfg)
	path := filepath.Join(cfg.DataDir, ledgerKeyFile)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
	key := gatewaytest.ReadAll(t, path)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(g.logs.String(), strings.TrimSpace(key)) {
		t.Error("the key is in the log")
	}
	start(t, cfg)
	if gatewaytest.ReadAll(t, path) != key {
		t.Error("the next start made another key")
	}
}
