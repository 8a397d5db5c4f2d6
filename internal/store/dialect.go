package store

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Differences between the engines: the lock for migrations, and the codes of errors.

// migrator says how to migrate an engine.
type migrator struct {
	dialect goose.Dialect
	options func() ([]goose.ProviderOption, error)
}

var (
	// Only one process opens the file, so migrations need no lock.
	sqliteMigrator = migrator{goose.DialectSQLite3, func() ([]goose.ProviderOption, error) { return nil, nil }}

	// Replicas may start together. One migrates; the others check every second, for at
	// most five minutes, whether it has finished.
	postgresMigrator = migrator{goose.DialectPostgres, func() ([]goose.ProviderOption, error) {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300), lock.WithUnlockTimeout(1, 60))
		return []goose.ProviderOption{goose.WithSessionLocker(locker)}, err
	}}
)

// violation is the kind of constraint that a statement violated.
type violation int

const (
	noViolation violation = iota
	uniqueViolation
	dataViolation // a value that its column refuses, or a missing referenced row
)

// violationOf returns the violation that an error of a driver reports.
func violationOf(err error) violation {
	var lite *sqlite.Error
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &lite):
		const primary = 0xff // the rest of an extended code says which constraint
		switch code := lite.Code(); {
		case code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return uniqueViolation
		case code&primary == sqlite3.SQLITE_CONSTRAINT || code == sqlite3.SQLITE_TOOBIG:
			return dataViolation
		}
	case errors.As(err, &pg):
		switch {
		case pg.Code == "23505":
			return uniqueViolation
		case strings.HasPrefix(pg.Code, "23"), // a constraint
			strings.HasPrefix(pg.Code, "22"), // a value that its type cannot hold, such as NUL in text
			strings.HasPrefix(pg.Code, "54"): // a limit of the server, such as the size of an index's row
			return dataViolation
		}
	}
	return noViolation
}

// lostRace reports whether the engine ended a transaction because of a deadlock.
// SQLite has one writer, so it has none.
func lostRace(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "40P01" // deadlock
}
