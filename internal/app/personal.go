package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"gateway/internal/config"
	"gateway/internal/predict"
	"gateway/internal/secrets"
)

// ledgerKeyFile is where the data dir keeps the key for personal features. It is
// not in the database: with both, values can be found by trying them out.
const ledgerKeyFile = "ledger-key"

// hashPersonal makes the ledger have hashes of personal features, if the
// settings say so.
func (c *components) hashPersonal(ctx context.Context, service *predict.Service) error {
	if c.cfg.Ledger.Personal != config.LedgerHash {
		return nil
	}
	id := c.cfg.Ledger.KeySecretID
	if id == "" {
		path := c.dir.Path(ledgerKeyFile)
		if _, err := secrets.MakeFile(path, generateLedgerKey); err != nil {
			return fmt.Errorf("the ledger's key: %w", err)
		}
		id = secrets.FilePrefix + path
	}
	key, err := secrets.NewFiles().Get(ctx, id, secrets.Current)
	if err != nil {
		return &config.Error{Err: fmt.Errorf("GATEWAY_LEDGER_KEY_SECRET_ID: %w", err)}
	}
	hash, err := predict.NewPersonalHash(bytes.TrimSpace([]byte(key.Value.Reveal())))
	if err != nil {
		return &config.Error{Err: fmt.Errorf("GATEWAY_LEDGER_KEY_SECRET_ID: %s: %w", strings.TrimPrefix(id, secrets.FilePrefix), err)}
	}
	service.HashPersonal(hash)
	c.log.Info("the ledger has hashes of personal features", "key_id", hash.KeyID())
	return nil
}

// generateLedgerKey makes a key, in hexadecimal digits.
func generateLedgerKey() secrets.Secret {
	key := make([]byte, predict.MinKeyBytes)
	_, _ = rand.Read(key) // it never fails
	return secrets.New(hex.EncodeToString(key))
}
