package idempotency

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
)

// MaxKey is how many characters a key may have.
const MaxKey = 255

// ErrSyntax is why a key cannot be taken. Its text is fit for callers.
var ErrSyntax = errors.New("the idempotency key must be 1 to 255 visible ASCII characters, without commas and quotes, or such text in double quotes")

// ParseKey reads a key as a header carries it: bare, as most clients send it,
// or in quotes, as a string of RFC 9651. Both forms of a text are the same key.
func ParseKey(header string) (string, error) {
	text, quoted := strings.CutPrefix(header, `"`)
	var key strings.Builder
	closed := !quoted
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c < ' ' || c > '~':
			return "", ErrSyntax
		case quoted && c == '"':
			if i != len(text)-1 {
				return "", ErrSyntax
			}
			closed = true
			continue
		case quoted && c == '\\':
			if i++; i == len(text) || (text[i] != '"' && text[i] != '\\') {
				return "", ErrSyntax
			}
			c = text[i]
		case !quoted && (c == ' ' || c == '"' || c == ','): // a comma joins two headers
			return "", ErrSyntax
		}
		key.WriteByte(c)
	}
	if !closed || key.Len() == 0 || key.Len() > MaxKey {
		return "", ErrSyntax
	}
	return key.String(), nil
}

// Request is what a caller sends under a key.
type Request struct {
	Scope  string // what is asked for: keys of different scopes have nothing to do with each other
	Caller string // whose key it is; empty: callers are not distinguished
	Key    string
	Body   []byte // that, with Scope, decides the answer
	Owner  string // who is charged for what is kept; of a bounded set of names
}

// id is what the key is stored by.
func (r *Request) id() string { return digest(r.Scope, r.Caller, r.Key) }

// fingerprint tells whether two requests under one key are the same one.
func (r *Request) fingerprint() string { return digest(r.Scope, r.Caller, r.Key, string(r.Body)) }

// digest hashes texts, each after its length, so that no two lists are one.
func digest(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		h.Write(length[:])
		h.Write([]byte(text))
	}
	return hex.EncodeToString(h.Sum(nil))
}
