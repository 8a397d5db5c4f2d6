package api

import (
	"errors"
	"io"
	"os"
	"sync"
)

// spool is a queue of bytes between a writer that must not wait and a reader
// that may be slow. Up to memoryMax bytes are held in memory; what the reader
// leaves beyond that goes to a file without a name, which vanishes with the
// process. When the reader has caught up, the file is emptied and used again.
//
// Why it exists: many clients send their whole body before they read a byte of
// the answer. Writing straight back to such a client fills the buffers between
// us, then neither side reads any more, and both wait for ever.
type spool struct {
	dir       string
	memoryMax int
	fileMax   int64 // where the file is full, the writer waits after all

	mu      sync.Mutex
	changed sync.Cond // of mu; signalled on every change below
	memory  []byte    // older than what is in the file
	start   int       // memory[start:] is unread
	file    *os.File  // nil until it is needed
	read    int64     // offsets in file
	written int64
	closed  bool
	err     error // why the queue broke; both sides get it
}

func newSpool(dir string, memoryMax int, fileMax int64) *spool {
	s := &spool{dir: dir, memoryMax: memoryMax, fileMax: fileMax}
	s.changed.L = &s.mu
	return s
}

// Write queues p. It waits only where the file is full, or fails where the
// queue is broken.
func (s *spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch fits, err := s.push(p); {
		case s.err != nil:
			return 0, s.err
		case err != nil:
			return 0, err
		case fits:
			s.changed.Broadcast()
			return len(p), nil
		}
		s.changed.Wait()
	}
}

// push stores p in memory or in the file. What is in the file is newer than
// what is in memory, so memory is closed to writing while the file has any.
func (s *spool) push(p []byte) (fits bool, err error) {
	if s.read == s.written {
		if s.written > 0 {
			if err := s.file.Truncate(0); err != nil {
				return false, err
			}
			s.read, s.written = 0, 0
		}
		unread := len(s.memory) - s.start
		if unread+len(p) <= s.memoryMax {
			if len(s.memory)+len(p) > s.memoryMax { // make room of what has been read
				s.memory = s.memory[:copy(s.memory, s.memory[s.start:])]
				s.start = 0
			}
			s.memory = append(s.memory, p...)
			return true, nil
		}
	}
	if int64(len(p)) > s.fileMax {
		return false, errors.New("spool: a write larger than the file may be")
	}
	if s.written+int64(len(p)) > s.fileMax {
		return false, nil
	}
	if s.file == nil {
		if s.file, err = unnamedFile(s.dir); err != nil {
			return false, err
		}
	}
	n, err := s.file.WriteAt(p, s.written)
	s.written += int64(n)
	return err == nil, err
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
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.err != nil:
			return 0, s.err
		case s.start < len(s.memory):
			n := copy(p, s.memory[s.start:])
			if s.start += n; s.start == len(s.memory) {
				s.memory, s.start = s.memory[:0], 0
			}
			s.changed.Broadcast()
			return n, nil
		case s.read < s.written:
			n, err := s.file.ReadAt(p[:min(int64(len(p)), s.written-s.read)], s.read)
			s.read += int64(n)
			s.changed.Broadcast()
			return n, err
		case s.closed:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
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
	s.changed.Broadcast()
}

// abandon breaks the queue: whoever waits gets err.
func (s *spool) abandon(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.changed.Broadcast()
}

// Close frees the file. Neither side may be at work any more.
func (s *spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
