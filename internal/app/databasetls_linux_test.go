package app

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gateway/internal/config"
	"gateway/internal/pgtest"
)

// The secret's sslrootcert "rds" is the file that the setting names.
func TestTheDatabasesCertificateIsChecked(t *testing.T) {
	postgres := pgtest.New(t, 0)
	ours, other := pgtest.NewAuthority(t), pgtest.NewAuthority(t)
	postgres.UseTLS(ours.Issue("127.0.0.1", time.Now().Add(time.Hour)))
	checked := map[string]any{"sslmode": "verify-full", "sslrootcert": "rds"}

	t.Setenv("GATEWAY_DEMO", "false")
	t.Setenv("GATEWAY_DB_SSLROOTCERT", ours.File)
	cfg := newConfig(t)
	cfg.DBSecretID = secretOf(t, postgres.URL(), checked)
	g := start(t, cfg)
	if logs := g.logs.String(); strings.Contains(logs, "less protected") {
		t.Errorf("the log warns of a connection that is checked: %s", logs)
	}

	t.Setenv("GATEWAY_DB_SSLROOTCERT", other.File)
	cfg = newConfig(t)
	cfg.DBSecretID = secretOf(t, postgres.URL(), checked)
	_, err := Open(t.Context(), cfg, Options{Log: slog.New(slog.DiscardHandler)})
	var usage *config.Error
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "GATEWAY_DB_SSLROOTCERT") || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("with another authority: got %v, want a wrong setting that is named", err)
	}

	cfg.DBSecretID = secretOf(t, postgres.URL(), map[string]any{"sslmode": "disable", "require_auth": "scram-sha-256,md5"})
	if logs := start(t, cfg).logs.String(); strings.Count(logs, "less protected than by default") != 1 || !strings.Contains(logs, "require_auth allows md5") {
		t.Errorf("the log does not warn of MD5: %s", logs)
	}
}
