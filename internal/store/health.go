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
	// probeEvery is how old the last commit may be before the database is probed for
	// being writable.
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
	mu      sync.Mutex
	wrote   time.Time // the last commit
	probed  time.Time // the last probe
	retired time.Time
	failing *Fault // of the last write; nil if it succeeded
	damage  *Fault // is kept until the next start
}

// note records the result of a write transaction. It reports whether it is the first
// success after the server was read-only.
func (h *health) note(now time.Time, err error) (writable bool) {
	f := faultOf(err)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
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

// due reports whether the database is to be probed now, and records the probe.
func (h *health) due(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing == nil && now.Sub(h.wrote) < probeEvery || now.Sub(h.probed) < probeAgain {
		return false
	}
	h.probed = now
	return true
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
// failed.
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
	if s.health.due(s.now()) {
		if err := s.setMark(ctx, urgent, probeMark, micros(s.now())); err != nil && faultOf(err) == nil {
			return err
		}
	}
	if f := s.health.known(); f != nil {
		return f
	}
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
