package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

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
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	options, err := m.options()
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(m.dialect, db, files, append(options, goose.WithDisableGlobalRegistry(true))...)
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
