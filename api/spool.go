package api

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// spool is a queue of bytes between a writer that must not wait and a reader
// that may be slow. Up to memoryMax bytes are held in memory; what the reader
// leaves beyond that goes to a file without a name, which vanishes with the
// process. When the reader has caught up, the file is emptied and used again.
// The file takes its room from what all spools share.
//
// Why it exists: many clients send their whole body before they read a byte of
// the answer. Writing straight back to such a client fills the buffers between
// us, then neither side reads any more, and both wait for ever.
type spool struct {
	dir       string
	memoryMax int
	room      *spoolRoom
	caller    string
	patience  time.Duration // how long the writer waits for a reader that reads nothing

	mu      sync.Mutex
	changed chan struct{} // closed, and made anew, on every change below
	memory  []byte        // older than what is in the file
	start   int           // memory[start:] is unread
	file    *os.File      // nil until it is needed
	read    int64         // offsets in file
	written int64
	closed  bool
	err     error // why the queue broke; both sides get it
}

// errNotRead is why Write gave up: there is no room, and the reader reads nothing.
var errNotRead = errors.New("what was written before is not read, and there is no room for more")

// spoolPiece is how much is written at once, so that a large write needs no
// more room than a small one.
const spoolPiece = 64 << 10

func newSpool(dir string, memoryMax int, room *spoolRoom, caller string, patience time.Duration) *spool {
	return &spool{dir: dir, memoryMax: memoryMax, room: room, caller: caller, patience: patience, changed: make(chan struct{})}
}

// Write queues p. It waits only where there is no room, until the reader has
// read or other spools have given room back. Where neither happens for as long
// as its patience lasts it returns errNotRead, and what is left of p is lost.
func (s *spool) Write(p []byte) (n int, err error) {
	var patience *time.Timer
	for n < len(p) {
		piece := p[n:min(len(p), n+min(spoolPiece, s.memoryMax))]
		freed := s.room.budget.Freed() // before push, so that nothing is missed
		fits, changed, err := s.push(piece, false)
		switch {
		case err != nil:
			return n, err
		case fits:
			n += len(piece)
			continue
		}
		if patience == nil {
			patience = time.NewTimer(s.patience)
			defer patience.Stop()
		}
		select {
		case <-changed:
			patience.Reset(s.patience)
		case <-freed:
		case <-patience.C:
			return n, errNotRead
		}
	}
	return n, nil
}

// WriteLast queues the last bytes. They are few and need no room.
func (s *spool) WriteLast(p []byte) error {
	_, _, err := s.push(p, true)
	return err
}

// push stores p, in memory or in the file, if it fits. What is in the file is
// newer than what is in memory, so memory is closed to writing while the file
// has any.
func (s *spool) push(p []byte, anyway bool) (fits bool, changed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return false, nil, s.err
	}
	if s.read == s.written {
		if err := s.empty(); err != nil {
			return false, nil, err
		}
		if anyway || len(s.memory)-s.start+len(p) <= s.memoryMax {
			if len(s.memory)+len(p) > s.memoryMax { // make room of what has been read
				s.memory = s.memory[:copy(s.memory, s.memory[s.start:])]
				s.start = 0
			}
			s.memory = append(s.memory, p...)
			s.change()
			return true, nil, nil
		}
	}
	if !s.room.take(s.caller, int64(len(p)), anyway) {
		return false, s.changed, nil
	}
	err = s.store(p)
	s.room.stored(int64(len(p)))
	return err == nil, nil, err
}

// store writes p to the file, which has room for it. s.mu is held.
func (s *spool) store(p []byte) (err error) {
	if s.file == nil {
		if s.file, err = unnamedFile(s.dir); err != nil {
			s.room.give(s.caller, int64(len(p)))
			return err
		}
	}
	if _, err = s.file.WriteAt(p, s.written); err != nil {
		s.room.give(s.caller, int64(len(p)))
		return err
	}
	s.written += int64(len(p))
	s.change()
	return nil
}

// empty gives back the room of a file that has been read. s.mu is held.
func (s *spool) empty() error {
	if s.written == 0 {
		return nil
	}
	if err := s.file.Truncate(0); err != nil {
		return err
	}
	s.room.give(s.caller, s.written)
	s.read, s.written = 0, 0
	return nil
}

// change wakes both sides. s.mu is held.
func (s *spool) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// unnamedFile makes a file that is gone as soon as it is closed.
func unnamedFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "answers-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Read waits for bytes, and returns io.EOF after the last.
func (s *spool) Read(p []byte) (int, error) {
	for {
		n, changed, err := s.pull(p)
		if n > 0 || err != nil {
			return n, err
		}
		<-changed
	}
}

// pull reads what is there.
func (s *spool) pull(p []byte) (n int, changed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return 0, nil, s.err
	case s.start < len(s.memory):
		n = copy(p, s.memory[s.start:])
		if s.start += n; s.start == len(s.memory) {
			s.memory, s.start = s.memory[:0], 0
		}
	case s.read < s.written:
		n, err = s.file.ReadAt(p[:min(int64(len(p)), s.written-s.read)], s.read)
		s.read += int64(n)
		if s.read == s.written && err == nil {
			err = s.empty()
		}
	case s.closed:
		return 0, nil, io.EOF
	default:
		return 0, s.changed, nil
	}
	s.change()
	return n, nil, err
}

// drained reports whether the reader has caught up.
func (s *spool) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.start == len(s.memory) && s.read == s.written
}

// finish says that nothing more will be written.
func (s *spool) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.change()
}

// abandon breaks the queue: both sides get err.
func (s *spool) abandon(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.change()
}

// Close frees the file and its room. Neither side may be at work any more.
func (s *spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	file, held := s.file, s.written
	s.file, s.read, s.written = nil, 0, 0
	defer s.room.give(s.caller, held) // when the file is gone
	return file.Close()
}
