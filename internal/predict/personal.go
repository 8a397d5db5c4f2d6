package predict

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"

	"gateway/internal/schema"
)

// PersonalHash computes keyed hashes (HMAC-SHA-256) of the values of personal
// features. Equal values have equal hashes, so the ledger shows that two
// predictions had the same value without showing the value. With the key, a value
// such as an age can be found by trying all ages, so the key must be stored apart
// from the ledger. The zero PersonalHash is not usable.
type PersonalHash struct {
	key []byte
	id  string
}

// MinKeyBytes is the minimum length of a key.
const MinKeyBytes = 32

// NewPersonalHash returns the hash with a key.
func NewPersonalHash(key []byte) (*PersonalHash, error) {
	if len(key) < MinKeyBytes {
		return nil, errors.New("the key for personal features must have at least " + strconv.Itoa(MinKeyBytes) + " bytes")
	}
	sum := sha256.Sum256(append([]byte("id of the key for personal features\x00"), key...))
	return &PersonalHash{key: key, id: hex.EncodeToString(sum[:4])}, nil
}

// KeyID identifies the key without revealing it. Every hash begins with it, so
// that hashes with different keys are never compared.
func (h *PersonalHash) KeyID() string { return h.id }

// append appends a JSON object with the hashes of the personal features that the
// record has, or nothing if it has none.
func (h *PersonalHash) append(dst []byte, s *schema.Schema, r schema.Record) []byte {
	mac := hmac.New(sha256.New, h.key)
	var text, sum []byte
	begin := byte('{')
	for i := range s.Features {
		f := &s.Features[i]
		if !f.Personal || !r.Has(i) {
			continue
		}
		// The hashed text is the name, a NUL, which a name cannot contain, and the
		// value.
		text = s.AppendValue(append(append(text[:0], f.Name...), 0), r, i)
		mac.Reset()
		mac.Write(text)
		sum = mac.Sum(sum[:0])
		dst = append(append(append(dst, begin, '"'), f.Name...), `":"`...)
		dst = hex.AppendEncode(append(append(dst, h.id...), ':'), sum)
		dst = append(dst, '"')
		begin = ','
	}
	if begin == ',' {
		dst = append(dst, '}')
	}
	return dst
}
