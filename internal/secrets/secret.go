// Package secrets holds what must not be seen. A [Secret] prints as
// [redacted] in every way Go can print, log or marshal it, and [Tokens] are
// secrets that may be replaced while the gateway runs.
//
// Secrets come from files so far: the setting `file:PATH` names one. The
// package knows nothing of what secrets are for.
package secrets

import (
	"crypto/rand"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a value that does not print. Only Reveal gives it away.
type Secret struct{ value string }

// New wraps a value.
func New(value string) Secret { return Secret{value} }

// Generate makes a random secret of at least 128 bits, in letters and digits.
func Generate() Secret { return Secret{rand.Text()} }

// Reveal returns the value. Call it where the value is used, not before.
func (s Secret) Reveal() string { return s.value }

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler, and thereby JSON and XML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
