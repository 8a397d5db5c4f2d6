package store

import (
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"gateway/internal/failure"
	"gateway/internal/idempotency"
	"gateway/internal/modelswap"
	"gateway/internal/pgtest"
	"gateway/internal/predict"
)

// fromVersion makes a database of each engine as the migration of that number
// left it, lets fill write into it, and hands it to check, opened by this version.
func fromVersion(t *testing.T, version int64, fill func(t *testing.T, old *sql.DB), check func(t *testing.T, s *Line)) {
	fromMigrated(t, version, func(t *testing.T, old *sql.DB, _ *goose.Provider) { fill(t, old) }, check)
}

// fromMigrated is like fromVersion. It hands over the migrations as well.
func fromMigrated(t *testing.T, version int64, fill func(t *testing.T, old *sql.DB, p *goose.Provider), check func(t *testing.T, s *Line)) {
	engines := []struct {
		name     string
		migrator migrator
		open     func(t *testing.T) (old *sql.DB, reopen func() (*Line, error))
	}{
		{"SQLite", sqliteMigrator, func(t *testing.T) (*sql.DB, func() (*Line, error)) {
			path := filepath.Join(t.TempDir(), "gateway.db")
			must(t, os.WriteFile(path, nil, 0o600)) // the writer makes no file
			old, err := sql.Open("sqlite", writerDSN(path))
			must(t, err)
			return old, func() (*Line, error) { return openAt(t, path), nil }
		}},
		{"Postgres", postgresMigrator, func(t *testing.T) (*sql.DB, func() (*Line, error)) {
			url := pgtest.Database(t)
			config, err := pgx.ParseConfig(url)
			must(t, err)
			return stdlib.OpenDB(*config), func() (*Line, error) { return openURL(t, url) }
		}},
	}
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			t.Parallel()
			old, reopen := engine.open(t)
			provider, err := newProvider(engine.migrator, old)
			must(t, err)
			_, err = provider.UpTo(t.Context(), version)
			must(t, err)
			fill(t, old, provider)
			must(t, old.Close())
			s, err := reopen()
			must(t, err)
			check(t, s)
		})
	}
}

// What version 1 left unfinished, without leases, is claimed after the upgrade.
func TestMigrateFromVersion1(t *testing.T) {
	t.Parallel()
	fromVersion(t, 1, func(t *testing.T, old *sql.DB) {
		_, err := old.Exec(`
INSERT INTO renewals (id, revision, status, cause, reason, overrides, force, created_at, metrics, state, error)
VALUES ('r', 7, 'running', 'manual', '', '{}', 0, 0, '{}', '{}', '')`)
		must(t, err)
		_, err = old.Exec(`
INSERT INTO renewal_steps (renewal_id, name, attempt, latest, position, status, started_at)
VALUES ('r', 'export', 1, 1, 0, 'running', 5), ('r', 'convert', 0, 1, 1, 'pending', NULL)`)
		must(t, err)
	}, func(t *testing.T, s *Line) {
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

// TestMigrateFromVersion7 opens a database from before what serves was recorded
// by schema: the model goes on serving for gateways of its schema, and those of
// another one begin without a model.
func TestMigrateFromVersion7(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	fromVersion(t, 7, func(t *testing.T, old *sql.DB) {
		for _, statement := range []string{
			`INSERT INTO models (name, renewal, algorithm, schema, data, row_count, created_at, deployed_at, watermark)
VALUES ('m1', 'r', 'xgboost', 'mine', '', 1, 5, 6, 0)`,
			`INSERT INTO artifacts (name, body, created_at) VALUES ('m1', '{}', 5), ('m2', '{}', 5), ('m3', '{}', 5), ('lost', '{}', 5)`,
			`INSERT INTO serving (endpoint, model, changed_at) VALUES ('e', 'm1', 6), ('f', 'lost', 7)`,
			`INSERT INTO renewals (id, revision, status, cause, reason, overrides, force, created_at, metrics, state, error)
VALUES ('r', 7, 'running', 'manual', '', '{}', 0, 0, '{}', '{"champion":"m1","model":"m2"}', '')`,
		} {
			_, err := old.Exec(statement)
			must(t, err)
		}
	}, func(t *testing.T, s *Line) {
		at := func(endpoint, schema string) modelswap.Serving {
			now, err := s.Serving(ctx, endpoint, schema)
			must(t, err)
			return now
		}
		want(t, "of its schema", at("e", "mine"), modelswap.Serving{Model: "m1", Version: 6})
		want(t, "of another one", at("e", "another"), modelswap.Serving{})
		want(t, "without a record", at("f", "any"), modelswap.Serving{Model: "lost", Version: 7})
		serve(t, s, "e", "another", "m3")
		want(t, "of its schema still", at("e", "mine"), modelswap.Serving{Model: "m1", Version: 6})
		wantKind(t, s.RemoveArtifact(ctx, "m1"), failure.Conflict, "model m1 serves")

		// The renewal that the earlier version evaluated goes on, with gateways of any schema.
		r, err := s.ClaimRenewal(ctx, "a", "mine", time.Minute)
		must(t, err)
		if r == nil || r.State.Schema != "" {
			t.Fatalf("claimed %+v, want the renewal, of no schema", r)
		}
		c := modelswap.Change{Model: r.State.Model, Over: modelswap.Serving{Model: r.State.Champion, Version: r.State.Version},
			By: modelswap.Fence{Renewal: r.ID, Revision: r.Revision}}
		_, err = s.SetServing(ctx, "e", "mine", c)
		must(t, err)
		want(t, "deployed", at("e", "mine").Model, "m2")
		want(t, "of another one still", at("e", "another").Model, "m3")
	})
}

// Customers of version 7 count as imported, but for those that are certain to be
// made from anonymous predictions; when their outcome was received is found.
func TestMigrateCustomersFromVersion7(t *testing.T) {
	t.Parallel()
	fromVersion(t, 7, func(t *testing.T, old *sql.DB) {
		for _, statement := range []string{`
INSERT INTO customers (id, features, label, label_at, demo, outcome)
VALUES ('imported', '{}', 1, NULL, 0, 0), ('reported', '{}', 0, 5, 0, 1), ('p', '{}', 1, 6, 0, 2), ('q', '{}', 1, NULL, 0, 0)`, `
INSERT INTO predictions (id, customer_id, created_at, features, score, label, model, schema, latency_us)
VALUES ('p', NULL, 1, '{}', 0.5, 1, 'm', 's', 1), ('q', 'reported', 1, '{}', 0.5, 1, 'm', 's', 1)`, `
INSERT INTO outcomes (seq, customer_id, prediction_id, label, observed_at, received_at, model)
VALUES (1, 'reported', NULL, 0, 5, 50, 'm'), (2, 'p', 'p', 1, 6, 60, 'm')`} {
			_, err := old.Exec(statement)
			must(t, err)
		}
	}, func(t *testing.T, s *Line) {
		want(t, "evidence", evidenceOf(t, s), map[string]predict.Evidence{
			"imported": {}, "q": {}, "reported": {LabelledAt: fromMicros(50)}, "p": {Made: true, LabelledAt: fromMicros(60)},
		})
	})
}

// TestMigrateKeysFromVersion15 replays a response of before the reason of missing
// reasons was stored with it.
func TestMigrateKeysFromVersion15(t *testing.T) {
	t.Parallel()
	fromVersion(t, 15, func(t *testing.T, old *sql.DB) {
		_, err := old.Exec(`
INSERT INTO idempotency_keys (id, fingerprint, subject, token, lease_until, expires_at, status, content_type, body)
VALUES ('k', 'f', 's', 't', 0, 9000000000000000, 200, 'application/json', '{}')`)
		must(t, err)
	}, func(t *testing.T, s *Line) {
		want(t, "the old response", claimKey(t, s, claimOf("one")).Answer, &idempotency.Answer{Status: 200, ContentType: "application/json", Body: []byte("{}")})
		c := idempotency.Claim{ID: "new", Fingerprint: "f", Subject: "s", Token: "t", Lease: time.Minute, TTL: time.Hour}
		claimKey(t, s, c)
		answer := idempotency.Answer{Status: 200, ContentType: "application/json", Unexplained: "why", Body: []byte("{}")}
		stored, err := s.AnswerKey(t.Context(), "new", "t", answer)
		must(t, err)
		want(t, "stored", stored, true)
		want(t, "the new response", claimKey(t, s, c).Answer, &answer)
	})
}

// A statement that is cut short or runs into the next one would show in its text.
func TestStatementsOfMigrations(t *testing.T) {
	t.Parallel()
	want(t, "statements", splitStatements("-- a; b\n\nCREATE TABLE x ( -- the first;\n    a TEXT -- ends;\n); -- here\nDROP TABLE x;\n-- The rest;\n"), []string{
		"-- a; b\n\nCREATE TABLE x ( -- the first;\n    a TEXT -- ends;\n); -- here\n", "DROP TABLE x;\n"})
	parsed, err := parseMigrations()
	must(t, err)
	files, err := fs.Glob(migrations, "migrations/*.sql")
	must(t, err)
	want(t, "migrations", len(parsed), len(files))
	begin := regexp.MustCompile(`(?m)^(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE) `)
	for i, m := range parsed {
		want(t, "version", m.version, int64(i+1))
		text, err := migrations.ReadFile(files[i])
		must(t, err)
		want(t, "statements of "+files[i], len(m.statements), len(begin.FindAll(text, -1)))
		for _, statement := range m.statements {
			want(t, "statements in one", len(begin.FindAllString(statement, -1)), 1)
		}
	}
}
