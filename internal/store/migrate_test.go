package store

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"gateway/internal/modelswap"
	"gateway/internal/pgtest"
)

// What version 1 left unfinished, without leases, is claimed after the upgrade.
func TestMigrateFromVersion1(t *testing.T) {
	t.Parallel()
	engines := []struct {
		name     string
		migrator migrator
		open     func(t *testing.T) (old *sql.DB, reopen func() (*Store, error))
	}{
		{"SQLite", sqliteMigrator, func(t *testing.T) (*sql.DB, func() (*Store, error)) {
			path := filepath.Join(t.TempDir(), "gateway.db")
			old, err := sql.Open("sqlite", writerDSN(path))
			must(t, err)
			return old, func() (*Store, error) { return openAt(t, path), nil }
		}},
		{"Postgres", postgresMigrator, func(t *testing.T) (*sql.DB, func() (*Store, error)) {
			url := pgtest.Database(t)
			config, err := pgx.ParseConfig(url)
			must(t, err)
			return stdlib.OpenDB(*config), func() (*Store, error) { return openURL(t, url) }
		}},
	}
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			t.Parallel()
			old, reopen := engine.open(t)
			files, err := fs.Sub(migrations, "migrations")
			must(t, err)
			provider, err := goose.NewProvider(engine.migrator.dialect, old, files, goose.WithDisableGlobalRegistry(true))
			must(t, err)
			_, err = provider.UpTo(t.Context(), 1)
			must(t, err)
			_, err = old.Exec(`
INSERT INTO renewals (id, revision, status, cause, reason, overrides, force, created_at, metrics, state, error)
VALUES ('r', 7, 'running', 'manual', '', '{}', 0, 0, '{}', '{}', '')`)
			must(t, err)
			_, err = old.Exec(`
INSERT INTO renewal_steps (renewal_id, name, attempt, latest, position, status, started_at)
VALUES ('r', 'export', 1, 1, 0, 'running', 5), ('r', 'convert', 0, 1, 1, 'pending', NULL)`)
			must(t, err)
			must(t, old.Close())

			s, err := reopen()
			must(t, err)
			wanted := newRenewal("r", modelswap.Running, 0)
			wanted.CreatedAt, wanted.Revision = fromMicros(0), 8
			wanted.Steps[0] = modelswap.Step{
				Name: modelswap.Export, Status: modelswap.StepRunning, Attempt: 1, StartedAt: ptr(fromMicros(5)),
			}
			want(t, "claimed", claim(t, s, "a"), wanted)
			attempts, err := s.Attempts(t.Context(), "r")
			must(t, err)
			want(t, "attempts", attempts, wanted.Steps[:1])
		})
	}
}
