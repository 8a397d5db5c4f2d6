package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/pressly/goose/v3"
)

// migrations holds numbered files. They only add, and the gateway does not take
// them back, since a column that is dropped takes its contents with it. Where an
// operator can, docs/operations.md says how.
//
//go:embed migrations/*.sql
var migrations embed.FS

// ErrNewer means that a newer version of the gateway migrated the database to tables
// that this version does not know.
var ErrNewer = errors.New("the database was made by a newer version of the gateway")

// migrate brings the tables up to date. It returns ErrNewer, and changes nothing, if
// the database has migrations that this version does not know.
func migrate(ctx context.Context, m migrator, db *sql.DB) error {
	options, err := m.options()
	if err != nil {
		return err
	}
	provider, err := newProvider(m, db, options...)
	if err != nil {
		return err
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return fmt.Errorf("%w: its tables are of version %d, and this one knows them up to %d", ErrNewer, current, target)
	}
	_, err = provider.Up(ctx)
	return err
}

// newProvider returns goose with the migrations for an engine.
func newProvider(m migrator, db *sql.DB, options ...goose.ProviderOption) (*goose.Provider, error) {
	parsed, err := parseMigrations()
	if err != nil {
		return nil, err
	}
	all := make([]*goose.Migration, len(parsed))
	for i, one := range parsed {
		// A provider keeps its state in the migrations that it is given.
		all[i] = goose.NewGoMigration(one.version, &goose.GoFunc{RunTx: one.run}, nil)
	}
	return goose.NewProvider(m.dialect, db, nil, append(options,
		goose.WithGoMigrations(all...), goose.WithDisableGlobalRegistry(true))...)
}

// migration is one file of migrations.
type migration struct {
	version    int64
	statements []string
}

// parseMigrations reads the files once in a process. Goose's own parser takes a buffer of
// 4 MiB for each line of them, each time that a database is opened.
var parseMigrations = sync.OnceValues(func() (all []migration, err error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		version, err := goose.NumericComponent(path.Base(name))
		if err != nil {
			return nil, err
		}
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, migration{version, splitStatements(string(text))})
	}
	return all, nil
})

// splitStatements returns the statements of a file of migrations, each with the comments
// before it. A statement ends with the first line that, without a comment, ends with a
// semicolon. Migrations have no text literal with two hyphens or with a line that ends so.
func splitStatements(text string) (statements []string) {
	var statement strings.Builder
	for line := range strings.Lines(text) {
		statement.WriteString(line)
		code, _, _ := strings.Cut(line, "--")
		if strings.HasSuffix(strings.TrimSpace(code), ";") {
			statements = append(statements, statement.String())
			statement.Reset()
		}
	}
	return statements
}

func (m migration) run(ctx context.Context, tx *sql.Tx) error {
	for _, statement := range m.statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("migration %d: %w", m.version, err)
		}
	}
	return nil
}
