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
	// With SQLite, write is one connection, whose transactions hold the write
	// lock from the start, and read several that cannot write. With PostgreSQL
	// both are several that can do either.
	write, read *sql.DB
	turns       *turns // of those who write

	inserts       inserts
	featuresOfOne *sql.Stmt    // on read
	known         knownQueries // on read

	streams chan struct{} // a token for each EachCustomer under way
	lookups chan struct{} // a token for the query under way of a list's ids
	now     func() time.Time

	health health
	file   openedFile // with SQLite
	retire func()     // makes the pools drop their connections; nil: they cannot

	closing  sync.Once
	closeErr error
}

// newStore wires a Store over migrated databases. It takes them over: where it
// fails it closes them.
func newStore(ctx context.Context, write, read *sql.DB, turns *turns, how inserts) (*Store, error) {
	s := &Store{write: write, read: read, turns: turns, inserts: how,
		streams: make(chan struct{}, maxStreams), lookups: make(chan struct{}, 1), now: time.Now}
	var err error
	if s.featuresOfOne, err = read.PrepareContext(ctx, featuresOfOneSQL); err == nil {
		s.known, err = prepareKnown(ctx, read)
	}
	if err != nil {
		return nil, errors.Join(failed("prepare", err), read.Close(), write.Close())
	}
	return s, nil
}

// Close ends the store and releases the file. What is called later fails. Close may be called more than once.
func (s *Store) Close() error {
	s.closing.Do(func() {
		// The writer goes last: SQLite tidies its log away when the last
		// connection closes, and a read-only one could not.
		s.closeErr = failed("close", errors.Join(s.read.Close(), s.write.Close()))
	})
	return s.closeErr
}

// Ping reads a row, to see whether the database answers. It does not wait for
// the writer.
func (s *Store) Ping(ctx context.Context) error {
	var value int64
	err := s.read.QueryRowContext(ctx, newestOutcomeSQL).Scan(&value)
	return failed("ping", err)
}

// Connections tells how many connections to the database are open, and how many
// of them are in use, at this moment.
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
	// unflushed leaves the flush to a later commit, where the engine can. What is
	// written in this way and what others write is in one order: a power cut takes
	// the end of it.
	unflushed bool
}

// inTurn waits for a turn of the class, runs fn in a write transaction and
// commits it if fn returns nil. The error names the operation.
func (s *Store) inTurn(ctx context.Context, w writing, fn func(tx *sql.Tx) error) error {
	if err := s.turns.begin(ctx, w.class); err != nil {
		return failed(w.operation, err)
	}
	defer s.turns.end(w.class)
	err := s.writeOnce(ctx, w, fn)
	if s.health.note(s.now(), err) {
		s.retireAll() // readers may still be connected to the former primary
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

// drop closes a connection instead of giving it back to its pool.
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
