package predict

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"

	"gateway/internal/schema"
)

// PersonalHash turns the values of personal features into keyed hashes
// (HMAC-SHA-256). The ledger shows that two predictions had the same value, and
// not the value. A value such as an age can be found with the key by trying all
// ages, so the key must be kept apart from the ledger. The zero PersonalHash is not
// usable.
type PersonalHash struct {
	key []byte
	id  string
}

// MinKeyBytes is the least length of a key.
const MinKeyBytes = 32

// NewPersonalHash returns the hash with a key.
func NewPersonalHash(key []byte) (*PersonalHash, error) {
	if len(key) < MinKeyBytes {
		return nil, errors.New("the key for personal features must have at least " + strconv.Itoa(MinKeyBytes) + " bytes")
	}
	sum := sha256.Sum256(append([]byte("id of the key for personal features\x00"), key...))
	return &PersonalHash{key: key, id: hex.EncodeToString(sum[:4])}, nil
}

// KeyID names the key without giving it away. It begins every hash, so that
// hashes by different keys are never taken for different values.
func (h *PersonalHash) KeyID() string { return h.id }

// append writes a JSON object of the hashes of those personal features that the
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
		// The name is part of what is hashed, and cannot hold the NUL that ends it.
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
