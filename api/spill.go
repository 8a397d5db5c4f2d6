package api

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// spillBuffer is a queue of bytes between a writer that must not wait and a reader that
// may be slow. It holds up to maxMemory bytes in memory, and the rest in a file without
// a name, which the system removes when the process ends. When the reader has read all
// of the file, the file is emptied and used again. The size of the files of all buffers
// together is bounded by a spillBudget.
//
// It is needed because many clients send their whole body before they read a byte of
// the response. Without it the response would fill the buffers of the connection, and
// then client and gateway would wait for each other.
type spillBuffer struct {
	dir       string
	maxMemory int
	budget    *spillBudget
	caller    string
	maxWait   time.Duration // how long Write waits while there is no room and nothing is read

	mu      sync.Mutex
	changed chan struct{} // closed and replaced on every change of the fields below
	memory  []byte        // comes before the content of the file
	start   int           // memory[start:] is unread
	file    *os.File      // nil until it is needed
	read    int64         // offsets in file
	written int64
	closed  bool
	err     error // why the queue was abandoned; Read and Write return it
}

// errNotRead is the error of Write when there is no room and the reader reads nothing.
var errNotRead = errors.New("earlier bytes are not read, and there is no room for more")

// spillPiece is how many bytes are stored at a time, so that a large write needs no more
// room at once than a small one.
const spillPiece = 64 << 10

func newSpillBuffer(dir string, maxMemory int, budget *spillBudget, caller string, maxWait time.Duration) *spillBuffer {
	return &spillBuffer{dir: dir, maxMemory: maxMemory, budget: budget, caller: caller, maxWait: maxWait, changed: make(chan struct{})}
}

// Write queues p. It waits while there is no room, until the reader has read or other
// buffers have returned room. If nothing is read for maxWait, it returns errNotRead, and
// the rest of p is lost.
func (s *spillBuffer) Write(p []byte) (n int, err error) {
	var timer *time.Timer
	for n < len(p) {
		piece := p[n:min(len(p), n+min(spillPiece, s.maxMemory))]
		freed := s.budget.budget.Freed() // taken before push, so that no change is missed
		fits, changed, err := s.push(piece, false)
		switch {
		case err != nil:
			return n, err
		case fits:
			n += len(piece)
			continue
		}
		if timer == nil {
			timer = time.NewTimer(s.maxWait)
			defer timer.Stop()
		}
		select {
		case <-changed:
			timer.Reset(s.maxWait)
		case <-freed:
		case <-timer.C:
			return n, errNotRead
		}
	}
	return n, nil
}

// WriteLast queues the last bytes, also if there is no room: they are few.
func (s *spillBuffer) WriteLast(p []byte) error {
	_, _, err := s.push(p, true)
	return err
}

// push stores p in memory or in the file, if it fits. While the file has unread bytes,
// p goes to the file, because these bytes come before p.
func (s *spillBuffer) push(p []byte, anyway bool) (fits bool, changed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return false, nil, s.err
	}
	if s.read == s.written {
		if err := s.empty(); err != nil {
			return false, nil, err
		}
		if anyway || len(s.memory)-s.start+len(p) <= s.maxMemory {
			if len(s.memory)+len(p) > s.maxMemory { // reuse the room of what has been read
				s.memory = s.memory[:copy(s.memory, s.memory[s.start:])]
				s.start = 0
			}
			s.memory = append(s.memory, p...)
			s.change()
			return true, nil, nil
		}
	}
	if !s.budget.take(s.caller, int64(len(p)), anyway) {
		return false, s.changed, nil
	}
	err = s.store(p)
	s.budget.stored(int64(len(p)))
	return err == nil, nil, err
}

// store writes p to the file. Its room has been taken. s.mu is held.
func (s *spillBuffer) store(p []byte) (err error) {
	if s.file == nil {
		if s.file, err = unnamedFile(s.dir); err != nil {
			s.budget.give(s.caller, int64(len(p)))
			return err
		}
	}
	if _, err = s.file.WriteAt(p, s.written); err != nil {
		s.budget.give(s.caller, int64(len(p)))
		return err
	}
	s.written += int64(len(p))
	s.change()
	return nil
}

// empty truncates a file that has been read, and returns its room. s.mu is held.
func (s *spillBuffer) empty() error {
	if s.written == 0 {
		return nil
	}
	if err := s.file.Truncate(0); err != nil {
		return err
	}
	s.budget.give(s.caller, s.written)
	s.read, s.written = 0, 0
	return nil
}

// change wakes both sides. s.mu is held.
func (s *spillBuffer) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// unnamedFile makes a file that the system removes when it is closed.
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
func (s *spillBuffer) Read(p []byte) (int, error) {
	for {
		n, changed, err := s.pull(p)
		if n > 0 || err != nil {
			return n, err
		}
		<-changed
	}
}

// pull reads what is queued, without waiting.
func (s *spillBuffer) pull(p []byte) (n int, changed <-chan struct{}, err error) {
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

// drained reports whether all that was written has been read.
func (s *spillBuffer) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.start == len(s.memory) && s.read == s.written
}

// finish ends the queue: after what is queued, Read returns io.EOF.
func (s *spillBuffer) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.change()
}

// abandon ends the queue at once: Read and Write return err.
func (s *spillBuffer) abandon(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.change()
}

// Close removes the file and returns its room. Read and Write must have returned.
func (s *spillBuffer) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	file, held := s.file, s.written
	s.file, s.read, s.written = nil, 0, 0
	defer s.budget.give(s.caller, held) // once the file is closed
	return file.Close()
}
