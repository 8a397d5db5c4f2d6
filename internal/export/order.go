package export

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
)

// HoldoutFraction is the share of customers kept from training, to judge
// models by: one in ten.
const HoldoutFraction = 1.0 / holdoutOneIn

const holdoutOneIn = 10

// Held reports whether the customer belongs to the holdout. The answer depends
// on the id alone, so a customer stays on one side for ever: a new model is
// never judged by rows that an older one, or itself, has learned from.
//
// Both the order of rows and the holdout come from the SHA-256 of the id: bytes
// 0–7, big endian, give the place in the order, and bytes 8–15 decide about the
// holdout (below HoldoutFraction of 2^64). The two share no bits, so that the
// holdout is spread evenly over the order.
func Held(id string) bool {
	return isHeld([]byte(id))
}

func isHeld(id []byte) bool {
	_, held := hashes(id)
	return held
}

func hashes(id []byte) (place uint64, held bool) {
	return split(sha256.Sum256(id))
}

// split returns what the hash of an id says.
func split(sum [sha256.Size]byte) (place uint64, held bool) {
	return binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16]) < math.MaxUint64/holdoutOneIn
}
