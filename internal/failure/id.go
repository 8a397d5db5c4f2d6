package failure

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// NewID returns a new id that sorts by time: a UUID of version 7 (RFC 9562).
func NewID() string {
	id, err := uuid.NewV7FromReader(randomness{})
	if err != nil {
		panic(err) // the generator never fails
	}
	return id.String()
}

// randomness is the runtime's generator, a ChaCha8 seeded by the system. Ids need
// to be unique, not secret, so they need no system call.
type randomness struct{}

func (randomness) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 8 {
		var word [8]byte
		binary.NativeEndian.PutUint64(word[:], rand.Uint64())
		copy(p[i:], word[:])
	}
	return len(p), nil
}

// NewIDAt returns an id as NewID makes them at a time, with bits from random. Ids of one
// millisecond are in no order. It panics if random fails.
func NewIDAt(t time.Time, random io.Reader) string {
	id, err := uuid.NewRandomFromReader(random)
	if err != nil {
		panic(err)
	}
	binary.BigEndian.PutUint64(id[:8], uint64(t.UnixMilli())<<16|0x7000|uint64(binary.BigEndian.Uint16(id[6:8])&0xfff))
	return id.String()
}

// IDBefore returns an id that sorts before all that NewID returns from a time on.
func IDBefore(t time.Time) string {
	ms := max(t.UnixMilli(), 0)
	return fmt.Sprintf("%08x-%04x-0000-0000-000000000000", ms>>16&0xffffffff, ms&0xffff)
}

// IDTime returns the time, to the millisecond, at which NewID made an id. It
// returns false for any other text.
func IDTime(id string) (t time.Time, ok bool) {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return time.Time{}, false
	}
	var ms int64
	for _, b := range u[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC(), true
}
