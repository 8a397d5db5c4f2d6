package store

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

const (
	// readConnections is how many statements can read at once.
	readConnections = 4
	// maxStreams is how many of them may be long ones, so that looking up a
	// customer for a prediction never waits for an export.
	maxStreams = readConnections / 2
)

// OpenSQLite opens the database in the file at path, or makes one that only its
// owner can read, and migrates it. Its folder must exist. The caller must see to it
// that one process at a time has it open: SQLite allows several, but their
// migrations would collide.
//
// The error matches ErrNewer if a newer version of the gateway has migrated the
// database.
func OpenSQLite(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path) // a file URI needs it
	if err != nil {
		return nil, failed("open", err)
	}
	// SQLite would make the file with the mode of the umask. Its log and index beside
	// the file get the mode of the file.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, failed("open", err)
	}
	info, err := file.Stat()
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, failed("open", err)
	}

	write, err := sql.Open("sqlite", writerDSN(path))
	if err != nil {
		return nil, failed("open", err)
	}
	write.SetMaxOpenConns(1)
	if err := migrate(ctx, sqliteMigrator, write); err != nil {
		if f := faultOf(err); f != nil && f.reason == damaged {
			err = damageOf(path, err)
		}
		return nil, errors.Join(failed("migrate", err), write.Close())
	}
	read, err := sql.Open("sqlite", readerDSN(path))
	if err != nil {
		return nil, errors.Join(failed("open", err), write.Close())
	}
	read.SetMaxOpenConns(readConnections)
	read.SetMaxIdleConns(readConnections)
	s, err := newStore(ctx, write, read, newTurns(1, [classes]int{1, 1, 1}), sqliteInserts)
	if err == nil {
		s.file = openedFile{path, info}
	}
	return s, err
}

// writerDSN is the writer's data source name.
func writerDSN(path string) string {
	return dsn(path, url.Values{
		"mode":          {"rw"},   // never make a new file in the place of one that was moved
		"_journal_mode": {"WAL"},  // readers and the writer do not wait for each other
		"_synchronous":  {"FULL"}, // flush at every commit; see withoutFlush
		"_txlock":       {"immediate"},
		"_pragma": {
			"journal_size_limit(67108864)", // give back what a long read made the log grow
			"cache_size(-16384)",           // KiB
		},
	})
}

// withoutFlush runs fn in a transaction whose commit is not flushed.
func withoutFlush(ctx context.Context, conn *sql.Conn, fn func(tx *sql.Tx) error) (err error) {
	// The transaction is short, and database/sql starts a goroutine for each statement
	// whose context can end.
	ctx = context.WithoutCancel(ctx)
	if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = NORMAL"); err != nil {
		return err
	}
	defer func() {
		if _, fault := conn.ExecContext(ctx, "PRAGMA synchronous = FULL"); fault != nil {
			drop(conn) // later transactions on it would not be flushed
			err = errors.Join(err, fault)
		}
	}()
	return transact(ctx, conn, fn)
}

// readerDSN is the readers' data source name.
func readerDSN(path string) string {
	return dsn(path, url.Values{"mode": {"ro"}, "_pragma": {"cache_size(-8192)"}})
}

func dsn(path string, options url.Values) string {
	// Another program may have the file open and hold a lock: wait for it.
	options.Set("_busy_timeout", "5000") // milliseconds
	options.Set("_foreign_keys", "1")
	options.Set("_dqs", "0") // "x" is a column, never a string
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: options.Encode()}
	return u.String()
}
