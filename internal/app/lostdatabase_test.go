package app

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway/api"
	"gateway/internal/config"
	"gateway/internal/datadir"
	"gateway/internal/gatewaytest"
	"gateway/internal/modelswap"
)

// tryStart starts a gateway that may refuse to, and stops it.
func tryStart(t *testing.T, cfg config.Config) error {
	t.Helper()
	a, err := Open(t.Context(), cfg, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	for _, server := range a.servers {
		_ = server.Listener().Close()
	}
	return a.components.cleanups.run(a.log)
}

func mustRemove(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var sqliteFiles = []string{"gateway.db", "gateway.db-wal", "gateway.db-shm"}

// TestALostDatabaseStopsTheStart uses a data dir, and then takes parts of it away.
func TestALostDatabaseStopsTheStart(t *testing.T) {
	t.Setenv("GATEWAY_DEMO", "false")
	for name, tc := range map[string]struct {
		damage func(t *testing.T, dir string)
		want   []string // in the error; nil: it starts
	}{
		"the database is gone": {func(t *testing.T, dir string) { mustRemove(t, dir, sqliteFiles...) },
			[]string{"gateway.db is missing", "restore the database from a backup", "move the data dir away"}},
		"the database is empty": {func(t *testing.T, dir string) {
			mustRemove(t, dir, sqliteFiles...)
			copyFile(t, os.DevNull, filepath.Join(dir, "gateway.db"))
		}, []string{"gateway.db is empty", "restore the database from a backup"}},
		"the database has no tables": {func(t *testing.T, dir string) {
			mustRemove(t, dir, sqliteFiles...)
			db, err := sql.Open("sqlite", filepath.Join(dir, "gateway.db"))
			if err == nil {
				_, err = db.Exec("PRAGMA user_version = 7")
			}
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}, []string{"database is empty", "restore the database from a backup"}},
		"the database is gone, beside the outbox of an earlier version": {func(t *testing.T, dir string) {
			mustRemove(t, dir, append(sqliteFiles, "gateway.database")...)
		}, []string{"gateway.db is missing", "move the data dir away"}},
		"the record cannot be read": {func(t *testing.T, dir string) {
			copyFile(t, os.DevNull, filepath.Join(dir, "gateway.database"))
		}, []string{"gateway.database: "}},
		"the whole data dir is gone": {func(t *testing.T, dir string) { mustRemove(t, dir, ".") }, nil},
		"the record is gone":         {func(t *testing.T, dir string) { mustRemove(t, dir, "gateway.database") }, nil},
		"a start was killed before the database": {func(t *testing.T, dir string) {
			mustRemove(t, dir, append(sqliteFiles, "gateway.database", "outbox", "admin-token")...)
		}, nil},
		"a start was killed before the tables": {func(t *testing.T, dir string) {
			mustRemove(t, dir, append(sqliteFiles, "gateway.database", "outbox", "admin-token")...)
			copyFile(t, os.DevNull, filepath.Join(dir, "gateway.db"))
		}, nil},
		"a disk is mounted at the outbox": {func(t *testing.T, dir string) {
			mustRemove(t, dir, append(sqliteFiles, "gateway.database", "outbox", "admin-token")...)
			if err := os.MkdirAll(filepath.Join(dir, "outbox", "lost+found"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := newConfig(t)
			if err := tryStart(t, cfg); err != nil {
				t.Fatal(err)
			}
			useOutbox(t, cfg)
			tc.damage(t, cfg.DataDir)
			before := listing(t, cfg.DataDir)
			err := tryStart(t, cfg)
			if tc.want == nil {
				if err != nil {
					t.Errorf("it does not start: %v", err)
				}
				return
			}
			for _, text := range tc.want {
				if err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
					t.Errorf("it says %v, want one line with %q", err, text)
				}
			}
			var wrong *config.Error
			if !errors.As(err, &wrong) {
				t.Errorf("the error is %T, want one for the operator", err)
			}
			if after := listing(t, cfg.DataDir); !strings.Contains(name, "no tables") && after != before {
				t.Errorf("the refused start changed the data dir from\n%s\nto\n%s", before, after)
			}
		})
	}
}

// useOutbox leaves in the outbox what an earlier version keeps there.
func useOutbox(t *testing.T, cfg config.Config) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(cfg.DataDir, "outbox", "position"), []byte("1 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() != "gateway.lock" && d.Name() != "gateway.owner" {
			names = append(names, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Join(names, "\n")
}

// TestABackupOfTheDatabaseIsTaken puts a copy of the database back, and then a
// database of another data dir.
func TestABackupOfTheDatabaseIsTaken(t *testing.T) {
	t.Setenv("GATEWAY_DEMO", "false")
	cfg := newConfig(t)
	if err := tryStart(t, cfg); err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(cfg.DataDir, "gateway.db")
	backup := filepath.Join(t.TempDir(), "backup.db")
	copyFile(t, db, backup)
	if err := tryStart(t, cfg); err != nil {
		t.Fatal(err)
	}
	mustRemove(t, cfg.DataDir, sqliteFiles...)
	copyFile(t, backup, db)
	if err := tryStart(t, cfg); err != nil {
		t.Errorf("with its backup it does not start: %v", err)
	}

	other := cfg
	other.DataDir = t.TempDir()
	if err := tryStart(t, other); err != nil {
		t.Fatal(err)
	}
	mustRemove(t, cfg.DataDir, sqliteFiles...)
	copyFile(t, filepath.Join(other.DataDir, "gateway.db"), db)
	err := tryStart(t, cfg)
	if !errors.Is(err, datadir.ErrDatabase) || !strings.Contains(err.Error(), "remove "+filepath.Join(cfg.DataDir, "gateway.database")) {
		t.Errorf("with another database it says %v, want how to go on", err)
	}
	mustRemove(t, cfg.DataDir, "gateway.database")
	if err := tryStart(t, cfg); err != nil {
		t.Errorf("told to go on, it does not: %v", err)
	}
}

// TestADataDirBelongsToOnePostgresDatabase leads a data dir to another database,
// and empties its own.
func TestADataDirBelongsToOnePostgresDatabase(t *testing.T) {
	t.Setenv("GATEWAY_DEMO", "false")
	cfg := newConfig(t)
	cfg.DBSecretID = "file:" + gatewaytest.DatabaseSecret(t)
	for range 2 {
		if err := tryStart(t, cfg); err != nil {
			t.Fatal(err)
		}
	}
	replica := cfg
	replica.DataDir = t.TempDir()
	if err := tryStart(t, replica); err != nil {
		t.Fatalf("a second replica does not start: %v", err)
	}
	other := cfg
	other.DBSecretID = "file:" + gatewaytest.DatabaseSecret(t)
	if err := tryStart(t, other); !errors.Is(err, datadir.ErrDatabase) || !strings.Contains(err.Error(), "the postgres database is empty") {
		t.Errorf("with another database it says %v", err)
	}
	sqlite := cfg
	sqlite.DBSecretID = ""
	if err := tryStart(t, sqlite); !errors.Is(err, datadir.ErrDatabase) || !strings.Contains(err.Error(), "postgres") {
		t.Errorf("without the database it says %v", err)
	}
}

// corrupt changes the stored artifact of a model: what follows its first line.
func corrupt(t *testing.T, cfg config.Config, model string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(cfg.DataDir, "gateway.db"))
	if err == nil {
		_, err = db.Exec(`UPDATE artifacts SET body = replace(body, '[', '{') WHERE name = $1`, model)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestADamagedModelDoesNotStopTheStart starts with a damaged artifact of the model
// that serves: the gateway says why it is not ready, and a rollback or a renewal
// makes it ready.
func TestADamagedModelDoesNotStopTheStart(t *testing.T) {
	for _, way := range []string{"rollback", "renewal"} {
		t.Run(way, func(t *testing.T) {
			newConfig(t)
			file, schema := gatewaytest.SmallData(t)
			t.Setenv("GATEWAY_SCHEMA", schema)
			t.Setenv("GATEWAY_DEMO", "false")
			cfg, err := config.Load()
			if err != nil {
				t.Fatal(err)
			}
			g := start(t, cfg)
			g.importFile(t, file)
			var models []string
			for range 2 {
				r := g.renew(t, api.RetrainRequest{Force: true})
				if r.Status != modelswap.Succeeded {
					t.Fatalf("the renewal is %s: %s", r.Status, r.Error)
				}
				models = append(models, *r.Model)
			}
			if err := g.stop(); err != nil {
				t.Fatal(err)
			}
			corrupt(t, cfg, models[1])
			g = start(t, cfg)
			ready, err := g.client.Ready(t.Context())
			model := ready.Dependencies["model"]
			if err != nil || ready.Status != "unavailable" || model.State != "unavailable" ||
				!strings.Contains(model.Detail, models[1]) || !strings.Contains(model.Detail, "artifact is corrupt") {
				t.Errorf("/readyz is %+v (%v), want unavailable and why", ready, err)
			}
			status, err := g.client.Status(t.Context())
			if err != nil || !strings.Contains(fmt.Sprint(status), "artifact is corrupt") {
				t.Errorf("/admin/status is %v (%v), want why the model does not serve", status, err)
			}
			if way == "rollback" {
				if _, err := g.client.Rollback(t.Context(), models[0]); err != nil {
					t.Fatal(err)
				}
			} else {
				r := g.renew(t, api.RetrainRequest{})
				why, _ := r.Step(modelswap.Evaluate).Detail["not_compared"].(string)
				if r.Status != modelswap.Succeeded || !strings.Contains(why, "artifact is corrupt") {
					t.Fatalf("the renewal is %s (%s), not compared: %q; want success, and why", r.Status, r.Error, why)
				}
			}
			g.ready(t)
			if _, err := g.client.Predict(t.Context(), api.PredictionRequest{Features: map[string]any{"visits": 3, "plan": "pro"}}); err != nil {
				t.Errorf("it does not predict: %v", err)
			}
		})
	}
}
