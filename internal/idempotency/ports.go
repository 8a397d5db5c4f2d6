package idempotency

import (
	"context"
	"time"
)

// Keys is where keys live. Implementations are safe for concurrent use, by
// several processes too.
type Keys interface {
	// ClaimKey claims the key for c.Token if it is free: it is new, has expired, or
	// has no answer and an expired lease. The result tells whether it did, and why
	// not.
	ClaimKey(ctx context.Context, c Claim) (Key, error)
	// AnswerKey stores the answer where token still has the key. False: it has
	// it no longer, and nothing was stored.
	AnswerKey(ctx context.Context, id, token string, a Answer) (bool, error)
	// ReleaseKey ends the lease of token, so that the next claim need not wait.
	ReleaseKey(ctx context.Context, id, token string) error
	// RemoveExpiredKeys removes some keys that have expired, at most limit, and
	// tells how many it did.
	RemoveExpiredKeys(ctx context.Context, limit int) (int, error)
	// KeyUsage returns how many bytes the keys of each owner take.
	KeyUsage(ctx context.Context) (map[string]int64, error)
	// RemoveOldestKeys removes an owner's oldest keys, at most limit, of those
	// that expire until before and are not being handled. It tells how many
	// bytes they took.
	RemoveOldestKeys(ctx context.Context, owner string, before time.Time, limit int) (removed int, bytes int64, err error)
}

// KeyBytes is what a key takes without its answer. It is an estimate of a row
// and its indexes.
const KeyBytes = 512

// Bytes is what the answer takes.
func (a *Answer) Bytes() int64 { return int64(len(a.ContentType) + len(a.Location) + len(a.Body)) }

// Claim asks for a key.
type Claim struct {
	ID          string
	Owner       string // who is charged for the key
	Fingerprint string
	Subject     string        // for a key that is new, or has expired
	Token       string        // of this claim alone
	Lease       time.Duration // how long the claim is exclusive
	TTL         time.Duration // how long it lasts, from now on
}

// Key is what became of a claim.
type Key struct {
	Claimed     bool
	Subject     string  // of the first claim, however often it was claimed since
	Fingerprint string  // of the request that has the key
	Answer      *Answer // nil while there is none
}

// Answer is what a caller got.
type Answer struct {
	Status      int
	ContentType string
	Location    string // empty for none
	Body        []byte // UTF-8, without NUL
}
