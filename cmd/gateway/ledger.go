package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"gateway/internal/datadir"
	"gateway/internal/modelswap"
	"gateway/internal/outage"
	"gateway/internal/outbox"
	"gateway/internal/predict"
	"gateway/internal/secrets"
	"gateway/internal/store"
)

// What the ledger has of personal features.
const (
	ledgerOmit = "omit"
	ledgerHash = "hash"
)

// openOutbox opens the outbox in the data dir, before the platform's ledger.
func openOutbox(cfg Config, p *components, log *slog.Logger) (*outbox.Outbox, error) {
	options := outbox.Options{
		MaxBytes: int64(cfg.Outbox.MaxSize),
		Policy:   outbox.Policy(cfg.Outbox.Policy),
		Sync:     outbox.Sync(cfg.Outbox.Sync),
		Shared:   cfg.DBSecretID != "",
	}
	if cfg.DBSecretID == "" {
		options.Flush, options.Gentle = p.store.Flush, store.GentleRows
	}
	return outbox.Open(p.dir.Path("outbox"), p.ledger, options, log, p.registry)
}

// recentTraffic is what models were asked lately: what waits in the outbox, and
// before that what the database has.
type recentTraffic struct {
	outbox   *outbox.Outbox
	database modelswap.Traffic
}

// RecentPredictions implements modelswap.Traffic.
func (t recentTraffic) RecentPredictions(ctx context.Context, model string, limit int) ([]predict.Prediction, error) {
	const look = 10_000 // of any model, as the database does
	recent, err := t.outbox.Recent(model, limit, look)
	if err != nil || len(recent) >= limit {
		return recent, err
	}
	waiting := make(map[string]bool, len(recent))
	for i := range recent {
		waiting[recent[i].ID] = true
	}
	stored, err := t.database.RecentPredictions(ctx, model, limit)
	for i := range stored {
		if len(recent) < limit && !waiting[stored[i].ID] { // else it has been drained in this moment
			recent = append(recent, stored[i])
		}
	}
	return recent, err
}

// ledgerKeyFile is where the data dir keeps the key for personal features. It is
// not in the database: with both, values can be found by trying them out.
const ledgerKeyFile = "ledger-key"

// hashPersonal makes the ledger have hashes of personal features, if the
// settings say so.
func hashPersonal(ctx context.Context, cfg Config, dir *datadir.Dir, service *predict.Service, log *slog.Logger) error {
	if cfg.Ledger.Personal != ledgerHash {
		return nil
	}
	id := cfg.Ledger.KeySecretID
	if id == "" {
		path := dir.Path(ledgerKeyFile)
		if _, err := secrets.MakeFile(path, generateLedgerKey); err != nil {
			return fmt.Errorf("the ledger's key: %w", err)
		}
		id = secrets.FilePrefix + path
	}
	key, err := secrets.NewFiles().Get(ctx, id, secrets.Current)
	if err != nil {
		return &settingError{fmt.Errorf("GATEWAY_LEDGER_KEY_SECRET_ID: %w", err)}
	}
	hash, err := predict.NewPersonalHash(bytes.TrimSpace([]byte(key.Value.Reveal())))
	if err != nil {
		return &settingError{fmt.Errorf("GATEWAY_LEDGER_KEY_SECRET_ID: %s: %w", strings.TrimPrefix(id, secrets.FilePrefix), err)}
	}
	service.HashPersonal(hash)
	log.Info("the ledger has hashes of personal features", "key_id", hash.KeyID())
	return nil
}

// generateLedgerKey makes a key, in hexadecimal digits.
func generateLedgerKey() secrets.Secret {
	key := make([]byte, predict.MinKeyBytes)
	_, _ = rand.Read(key) // it never fails
	return secrets.New(hex.EncodeToString(key))
}

const (
	// retainEvery is how often predictions that are too old are looked for.
	retainEvery = 10 * time.Minute
	// retainRows is how many are removed before a pause of retainPause. The store
	// removes them in several transactions.
	retainRows, retainPause = 500, 200 * time.Millisecond
)

// retain removes predictions from the ledger once they are older than age, until
// ctx ends. Several gateways may do so on one database: each finds what the
// others have left.
func retain(ctx context.Context, ledger *store.Store, age time.Duration, log *slog.Logger) {
	if age == 0 {
		return
	}
	var removals outage.Outage
	wait := time.NewTimer(0)
	defer wait.Stop()
	for total := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		removed, err := removeOld(ctx, ledger, age)
		total += removed
		if ctx.Err() != nil {
			return
		}
		removals.Record(log, err, "cannot remove old predictions from the ledger; trying again every "+retainEvery.String(),
			"old predictions can be removed from the ledger again")
		switch {
		case err == nil && removed > retainRows/2: // a few may be younger than their ids
			wait.Reset(retainPause)
			continue
		case err == nil && total > 0:
			log.Info("removed old predictions from the ledger", "rows", total, "older_than", age)
		}
		total = 0
		wait.Reset(retainEvery)
	}
}

// removeOld removes some predictions that are older than age. A clock that may be
// wrong removes none.
func removeOld(ctx context.Context, ledger *store.Store, age time.Duration) (removed int64, err error) {
	now := time.Now()
	if err := ledger.CheckClock(ctx, now); err != nil {
		return 0, err
	}
	return ledger.RemovePredictions(ctx, now.Add(-age), retainRows)
}

// outboxStatus is the outbox's part of /admin/status.
func outboxStatus(cfg Config, s outbox.Stats) map[string]any {
	out := map[string]any{
		"rows": s.Rows, "bytes": s.Bytes, "max_bytes": int64(cfg.Outbox.MaxSize), "policy": cfg.Outbox.Policy,
		"oldest_age_seconds": 0.0, "failing_since": nil,
		"dropped": s.Dropped, "set_aside": s.SetAside, "damaged_segments": s.Damaged,
	}
	if !s.Oldest.IsZero() {
		out["oldest_age_seconds"] = max(0, time.Since(s.Oldest).Seconds())
	}
	if !s.Failing.IsZero() {
		out["failing_since"] = s.Failing.Format(time.RFC3339Nano)
	}
	return out
}
