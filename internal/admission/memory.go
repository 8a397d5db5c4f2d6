package admission

import (
	"errors"
	"fmt"
	"time"
)

// defaultMemory is the default of Options.Memory.
const defaultMemory = 512 << 20

// Memory is what one request holds of Options.Memory: for its body, what is decoded from it,
// and the response. A permit and a connection cover the memory of a small request, so a
// small request is charged nothing. The zero Memory holds nothing.
type Memory struct {
	limit  *Limit
	caller string
	bytes  int64
}

// Hold raises what a request holds to a number of bytes in all. It is called before they are
// allocated. The bytes are charged to caller; key and class are for the metrics. The error
// is a *TooLargeError if one caller may never hold as much, else a *failure.Error of kind
// Unavailable.
func (l *Limit) Hold(m *Memory, caller, key string, class Class, bytes int64) error {
	if bytes <= m.bytes {
		return nil
	}
	if maxBytes := l.memory.each; bytes > maxBytes {
		return &TooLargeError{Needs: bytes, Max: maxBytes}
	}
	if err := l.memory.Take(caller, bytes-m.bytes); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		why := noMemory
		if errors.Is(err, ErrShare) {
			why = memoryShare
		}
		return l.refused(why, l.fairShares.of(key, time.Now()), class, max(l.mean, time.Second))
	}
	m.limit, m.caller, m.bytes = l, caller, bytes
	return nil
}

// Held reports whether the request holds memory.
func (m *Memory) Held() bool { return m.bytes > 0 }

// Free returns the memory. It is called when nothing refers to it any more, and may be
// called again.
func (m *Memory) Free() {
	if m.bytes > 0 {
		m.limit.memory.Give(m.caller, m.bytes)
		m.bytes = 0
	}
}

// TooLargeError is the error of a request that needs more memory than one
// caller may hold.
type TooLargeError struct{ Needs, Max int64 } // bytes

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the request needs %d MiB of memory, and one caller may hold %d MiB: send it in parts, or as a stream",
		(e.Needs+1<<20-1)>>20, e.Max>>20)
}
