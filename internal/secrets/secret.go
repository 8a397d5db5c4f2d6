package secrets

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a value that is not printed. Only Reveal returns it.
//
// A function holds the value, because package fmt does not call methods of unexported
// fields: it would print the text of a string in a nested struct, and prints only the address
// of a function.
type Secret struct{ reveal func() string }

// New returns a Secret with the value, which may be any bytes.
func New(value string) Secret { return Secret{func() string { return value }} }

// Generate returns a random secret of letters and digits with at least 128 bits of entropy.
func Generate() Secret { return New(rand.Text()) }

// Reveal returns the value. Call it only where the value is used.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// Equal compares two secrets in constant time if they have the same length.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// Format implements fmt.Formatter for all verbs.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler, which encoders of JSON and XML use.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
