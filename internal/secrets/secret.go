package secrets

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a value that does not print. Only Reveal gives it away.
//
// The value is kept by a function, because package fmt calls no methods on
// unexported fields: it would print the text of a string that is deep in a
// struct, but of a function it can only print the address.
type Secret struct{ reveal func() string }

// New wraps a value, which may be any bytes.
func New(value string) Secret { return Secret{func() string { return value }} }

// Generate makes a random secret of at least 128 bits, in letters and digits.
func Generate() Secret { return New(rand.Text()) }

// Reveal returns the value. Call it where the value is used, not before.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// Equal compares in a time that tells nothing but whether the lengths agree.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler, and thereby JSON and XML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
