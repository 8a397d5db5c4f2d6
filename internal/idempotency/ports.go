package idempotency

import (
	"context"
	"time"
)

// Keys is the store of keys. Implementations are safe for concurrent use, also by several
// processes.
type Keys interface {
	// ClaimKey claims the key for c.Token if the key is new or expired, or if it has no
	// answer and its lease is expired. The result is the key as it is then.
	ClaimKey(ctx context.Context, c Claim) (Key, error)
	// AnswerKey stores the answer if token still has the key, and reports whether it did.
	AnswerKey(ctx context.Context, id, token string, a Answer) (bool, error)
	// ReleaseKey ends the lease of token, so that the next claim succeeds at once.
	ReleaseKey(ctx context.Context, id, token string) error
	// RemoveExpiredKeys removes at most limit expired keys, and returns how many.
	RemoveExpiredKeys(ctx context.Context, limit int) (int, error)
	// KeyUsage returns the size of the keys of each owner, in bytes.
	KeyUsage(ctx context.Context) (map[string]int64, error)
	// RemoveOldestKeys removes at most limit of an owner's oldest keys, of those that expire
	// before a time and whose request is not being handled. It returns their number and size.
	RemoveOldestKeys(ctx context.Context, owner string, before time.Time, limit int) (removed int, bytes int64, err error)
}

// KeyBytes is the estimated size of a key without its answer: a row and its indexes.
const KeyBytes = 512

// Bytes returns the size of the answer.
func (a *Answer) Bytes() int64 {
	return int64(len(a.ContentType) + len(a.Location) + len(a.Unexplained) + len(a.Body))
}

// Claim is a request for a key.
type Claim struct {
	ID          string
	Owner       string // who is charged for the key
	Fingerprint string
	Subject     string        // of a key that is new or expired
	Token       string        // identifies this claim
	Lease       time.Duration // how long the claim is exclusive
	TTL         time.Duration // time until the key expires
}

// Key is a key after a claim.
type Key struct {
	Claimed     bool    // the claim has the key
	Subject     string  // of the first claim
	Fingerprint string  // of the request that has the key
	Answer      *Answer // nil while there is none
}

// Answer is a response to a caller.
type Answer struct {
	Status      int
	ContentType string
	Location    string // empty for none
	Unexplained string // why its predictions have no reasons, as its header says; empty for none
	Body        []byte // UTF-8, without NUL
}
