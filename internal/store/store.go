package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"time"

	"gateway/internal/audit"
	"gateway/internal/idempotency"
	"gateway/internal/predict"
)

var (
	_ predict.Customers = (*Store)(nil)
	_ audit.Log         = (*Store)(nil)
	_ idempotency.Keys  = (*Store)(nil)
)

// Store is an open database, which holds one model line or several: see OpenLine.
// It is safe for concurrent use.
//
// Errors that a caller can act on are *failure.Error; all others name the
// operation that failed and are for the operator.
type Store struct {
	// With SQLite, write is one connection, whose transactions take the write lock at
	// their begin, and read several read-only connections. With PostgreSQL both are
	// several connections, each of which can read and write.
	write, read *sql.DB
	turns       *turns // of write transactions

	inserts       inserts
	featuresOfOne *sql.Stmt    // on read
	known         knownQueries // on read

	streams chan struct{} // has a token for each EachCustomer that runs
	lookups chan struct{} // has a token while the ids of a list are looked up
	now     func() time.Time

	health health
	file   openedFile // with SQLite
	retire func()     // makes the pools drop their connections; nil: not supported

	closing  sync.Once
	closeErr error
}

// newStore makes a Store of migrated databases, which it owns. It closes them if it
// fails.
func newStore(ctx context.Context, write, read *sql.DB, turns *turns, how inserts) (*Store, error) {
	s := &Store{write: write, read: read, turns: turns, inserts: how,
		streams: make(chan struct{}, maxStreams), lookups: make(chan struct{}, 1), now: time.Now,
		health: health{probing: make(chan struct{}, 1)}}
	var err error
	if s.featuresOfOne, err = read.PrepareContext(ctx, featuresOfOneSQL); err == nil {
		s.known, err = prepareKnown(ctx, read)
	}
	if err != nil {
		return nil, errors.Join(failed("prepare", err), read.Close(), write.Close())
	}
	return s, nil
}

// UseClock makes the store take times from a clock instead of time.Now. It must be
// called before the first write.
func (s *Store) UseClock(now func() time.Time) { s.now = now }

// Close closes the store and its file. Calls after it fail. Close may be called more
// than once.
func (s *Store) Close() error {
	s.closing.Do(func() {
		// The writer is closed last: SQLite removes its log when the last connection
		// closes, which a read-only one cannot do.
		s.closeErr = failed("close", errors.Join(s.read.Close(), s.write.Close()))
	})
	return s.closeErr
}

// Ping reads a row to check that the database answers. It does not wait for
// writers.
func (s *Store) Ping(ctx context.Context) error {
	var value int64
	err := s.read.QueryRowContext(ctx, newestOutcomeSQL).Scan(&value)
	return failed("ping", err)
}

// Connections returns how many connections to the database are open, and how many
// of them are in use.
func (s *Store) Connections() (open, inUse int) {
	for _, db := range []*sql.DB{s.write, s.read} {
		stats := db.Stats()
		open, inUse = open+stats.OpenConnections, inUse+stats.InUse
	}
	return open, inUse
}

// inWrite runs fn in an urgent write transaction and commits it if fn returns
// nil. The error names the operation.
func (s *Store) inWrite(ctx context.Context, operation string, fn func(tx *sql.Tx) error) error {
	return s.inTurn(ctx, writing{operation: operation}, fn)
}

// writing describes a write transaction.
type writing struct {
	operation string
	class     class
	// unflushed leaves the flush to a later commit, if the engine can. All writes have
	// one order: a power cut loses the last of them.
	unflushed bool
	// proves means that the transaction writes a row whatever the database has, so
	// that its commit shows that the database can be written. PostgreSQL commits a
	// transaction that only read, and SQLite one that found nothing to change, on a
	// database that takes no writes.
	proves bool
}

// inTurn waits for a turn of the class, runs fn in a write transaction and
// commits it if fn returns nil. The error names the operation.
func (s *Store) inTurn(ctx context.Context, w writing, fn func(tx *sql.Tx) error) error {
	if err := s.turns.begin(ctx, w.class); err != nil {
		return failed(w.operation, err)
	}
	defer s.turns.end(w.class)
	err := s.writeOnce(ctx, w, fn)
	if s.health.note(s.now(), err, w.proves) {
		s.retireAll() // connections for reading may still lead to the former primary
	}
	return failed(w.operation, err)
}

func (s *Store) writeOnce(ctx context.Context, w writing, fn func(tx *sql.Tx) error) error {
	if err := s.file.check(); err != nil {
		return err
	}
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if w.unflushed && s.inserts.unflushed {
		return withoutFlush(ctx, conn, fn)
	}
	err = transact(ctx, conn, fn)
	if isReadOnly(err) {
		s.retireReadOnly(conn)
	}
	return err
}

// drop closes a connection instead of returning it to its pool.
func drop(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}

func transact(ctx context.Context, conn *sql.Conn, fn func(tx *sql.Tx) error) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after a commit it does nothing
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}
