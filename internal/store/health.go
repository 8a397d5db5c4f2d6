package store

import (
	"cmp"
	"context"
	"database/sql"
	"os"
	"sync"
	"time"
)

const (
	// probeEvery is how old the last proof that the database can be written may be
	// before the database is probed.
	probeEvery = 10 * time.Second
	// probeAgain is the least time between two probes.
	probeAgain = time.Second
	// retireEvery is how often connections are retired while the server is read-only.
	retireEvery = 5 * time.Second
	// probeMark is the name of the mark that a probe sets.
	probeMark = "probe"
)

// health is the state of the database as seen by the writes of this process.
type health struct {
	probing chan struct{} // holds one value while a probe is under way

	mu      sync.Mutex
	wrote   time.Time // the last commit of a transaction that surely wrote
	probed  time.Time // the last probe with a result
	retired time.Time
	failing *Fault // of the last write; nil if it succeeded
	damage  *Fault // is kept until the next start
}

// note records the result of a write transaction. Success counts if the transaction
// proves that the database can be written. note reports whether it is the first
// success after the server was read-only.
func (h *health) note(now time.Time, err error, proves bool) (writable bool) {
	f := faultOf(err)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil && !proves:
	case err == nil:
		writable = h.failing != nil && h.failing.reason == readOnly
		h.wrote, h.failing = now, nil
	case f == nil:
	case f.reason == damaged:
		h.damage = f
	default:
		h.failing = f
	}
	return writable
}

// due reports whether the database is to be probed now.
func (h *health) due(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	proven := h.failing == nil && now.Sub(h.wrote) < probeEvery
	return !proven && now.Sub(h.probed) >= probeAgain
}

// probeEnded records the end of a probe with a result.
func (h *health) probeEnded(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.probed = now
}

// known returns the present fault of the database, or nil.
func (h *health) known() *Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	return cmp.Or(h.damage, h.failing)
}

// mayRetire reports whether connections are to be retired now.
func (h *health) mayRetire(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Sub(h.retired) < retireEvery {
		return false
	}
	h.retired = now
	return true
}

// Check reports whether the database can be read and written, and whether it is
// the file that was opened. The error is a *Fault where the reason is known.
//
// Check writes a row only if the last write of this process was probeEvery ago or
// failed. It waits for a check that does so.
func (s *Store) Check(ctx context.Context) error {
	if err := s.file.check(); err != nil {
		return err
	}
	if err := s.Ping(ctx); err != nil {
		if f := faultOf(err); f != nil {
			return f
		}
		return err
	}
	if err := s.probe(ctx); err != nil {
		return err
	}
	if f := s.health.known(); f != nil {
		return f
	}
	return nil
}

// probe writes a row if that is due. Health has the result; the error is of a write
// that showed nothing about the database, such as one whose time ran out.
func (s *Store) probe(ctx context.Context) error {
	select {
	case s.health.probing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.health.probing }()
	now := s.now()
	if !s.health.due(now) {
		return nil
	}
	if err := s.setMark(ctx, urgent, probeMark, micros(now)); err != nil && faultOf(err) == nil {
		return err
	}
	s.health.probeEnded(now)
	return nil
}

// Damaged reports whether damage was found in the database.
func (s *Store) Damaged() bool {
	f := s.health.known()
	return f != nil && f.reason == damaged
}

// retireReadOnly drops a connection to a read-only server, and makes the pools drop
// all others: after a failover, new connections lead to the primary.
func (s *Store) retireReadOnly(conn *sql.Conn) {
	drop(conn)
	if s.health.mayRetire(s.now()) {
		s.retireAll()
	}
}

// retireAll makes the pools drop their connections.
func (s *Store) retireAll() {
	if s.retire != nil {
		s.retire()
	}
}

// openedFile is the file of an SQLite database. The zero value is none.
type openedFile struct {
	path string
	info os.FileInfo // of the file that was opened
}

// check returns an error if the file is no longer at its path. The next start would
// not find what is written to it.
func (f openedFile) check() error {
	if f.info == nil {
		return nil
	}
	info, err := os.Stat(f.path)
	if err == nil && os.SameFile(info, f.info) {
		return nil
	}
	return &Fault{moved, "the database file " + f.path + " was moved, removed or replaced while it is open; put it back, or restart the gateway", err}
}
