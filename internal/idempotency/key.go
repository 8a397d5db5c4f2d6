package idempotency

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
)

// MaxKey is the maximum number of characters of a key.
const MaxKey = 255

// ErrSyntax is the error of text that is no key. Its text is for callers.
var ErrSyntax = errors.New("the idempotency key must be 1 to 255 visible ASCII characters, without commas and quotes, or such text in double quotes")

// ParseKey returns the key in the value of a header: plain, as most clients send it, or in
// quotes, as a string of RFC 9651. Both forms of a text are the same key. The error is
// ErrSyntax.
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

// Request is a request with a key.
type Request struct {
	Scope  string // such as the route; equal keys of different scopes are different keys
	Caller string // name of the caller; equal keys of different callers are different keys
	Key    string
	Body   []byte // decides the answer together with Scope
	Owner  string // who is charged for what is stored; from a bounded set of names
}

// id is the id of the key in the store.
func (r *Request) id() string { return digest(r.Scope, r.Caller, r.Key) }

// fingerprint is equal for equal requests with the same key.
func (r *Request) fingerprint() string { return digest(r.Scope, r.Caller, r.Key, string(r.Body)) }

// digest hashes texts, each after its length, so that different lists have different hashes.
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
