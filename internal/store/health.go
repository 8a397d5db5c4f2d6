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
	// probeEvery is how old a commit may be and still show that the database
	// can be written.
	probeEvery = 10 * time.Second
	// probeAgain is how long after a failed probe the next one comes.
	probeAgain = time.Second
	// retireEvery is how often connections are retired while the server takes
	// no writes.
	retireEvery = 5 * time.Second
	// probeMark is what a probe writes.
	probeMark = "probe"
)

// health is what the writes of the process have shown of the database.
type health struct {
	mu      sync.Mutex
	wrote   time.Time // the last commit
	probed  time.Time // the last probe
	retired time.Time
	failing *Fault // of the last write; nil once one succeeds
	damage  *Fault // stays until the next start
}

// note takes the result of a write transaction. It reports whether it is the
// first to succeed since the server took no writes.
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

// due reports whether the database must be probed to know whether it can be
// written. It counts as a probe that begins.
func (h *health) due(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing == nil && now.Sub(h.wrote) < probeEvery || now.Sub(h.probed) < probeAgain {
		return false
	}
	h.probed = now
	return true
}

// known is what is wrong with the database, or nil.
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
// Writes of others show it too. Only where the last one was probeEvery ago, or
// failed, does Check write a row.
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

// retireReadOnly drops a connection to a server that takes no writes, and makes
// the pools drop all others: after a failover new ones find the primary.
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

// check reports whether the file is still in its place. What is written after
// it was moved away would be found by no later start.
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
