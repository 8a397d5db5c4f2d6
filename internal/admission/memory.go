package admission

import (
	"errors"
	"fmt"
	"time"
)

// defaultMemory is Options.Memory where it is not set.
const defaultMemory = 512 << 20

// Memory is what one request holds of the memory that a Limit has for large
// requests: its body, what is decoded of it, and the answer. What a place and a
// connection are reckoned to take is not part of it, so that small requests
// charge nothing. The zero Memory holds nothing.
type Memory struct {
	limit  *Limit
	caller string
	bytes  int64
}

// Hold raises what a request holds to the given number of bytes in all, before
// they are allocated. caller is who is charged; key and class are labels of the
// metrics. The error tells whether that much is not free now, or never is.
func (l *Limit) Hold(m *Memory, caller, key string, class Class, bytes int64) error {
	if bytes <= m.bytes {
		return nil
	}
	if most := l.memory.each; bytes > most {
		return &TooLargeError{Needs: bytes, Most: most}
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

// Free gives the memory back, once nothing refers to it. It may be called again.
func (m *Memory) Free() {
	if m.bytes > 0 {
		m.limit.memory.Give(m.caller, m.bytes)
		m.bytes = 0
	}
}

// TooLargeError is the error of a request that needs more memory than one
// caller may hold.
type TooLargeError struct{ Needs, Most int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the request needs %d MiB of memory, and one caller may hold %d MiB: send it in parts, or as a stream",
		(e.Needs+1<<20-1)>>20, e.Most>>20)
}
