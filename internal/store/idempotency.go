package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"gateway/internal/idempotency"
)

// Who handles a request that bears an idempotency key.
//
// It is a lease as that of a renewal, and the token of the claim is its fence:
// who lost the lease unawares cannot store an answer any more. An answer ends
// the lease for good; nothing but its expiry removes it.

const (
	idempotencyKeySQL = `
SELECT fingerprint, subject, lease_until, expires_at, status, content_type, location, body
FROM idempotency_keys WHERE id = $1`

	// In the condition stands what was stored before. A key that has expired
	// is a new one; one whose handler died goes to a repetition of the same
	// request, and keeps its subject.
	claimKeySQL = `
INSERT INTO idempotency_keys (id, fingerprint, subject, token, lease_until, expires_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE
SET fingerprint = excluded.fingerprint,
    subject = CASE WHEN idempotency_keys.expires_at <= $7 THEN excluded.subject ELSE idempotency_keys.subject END,
    token = excluded.token, lease_until = excluded.lease_until, expires_at = excluded.expires_at,
    status = NULL, content_type = NULL, location = NULL, body = NULL
WHERE idempotency_keys.expires_at <= $7
   OR (idempotency_keys.status IS NULL AND (idempotency_keys.lease_until <= $7 OR idempotency_keys.lease_until > $8)
       AND idempotency_keys.fingerprint = excluded.fingerprint)
RETURNING subject`

	answerKeySQL = `
UPDATE idempotency_keys SET status = $1, content_type = $2, location = $3, body = $4
WHERE id = $5 AND token = $6 AND status IS NULL`

	releaseKeySQL = `
UPDATE idempotency_keys SET lease_until = 0
WHERE id = $1 AND token = $2 AND status IS NULL`

	expiredKeysSQL = `
SELECT id, coalesce(octet_length(body), 0) FROM idempotency_keys
WHERE expires_at <= $1 ORDER BY expires_at, id LIMIT $2`

	// A key may have been claimed anew since it was found.
	removeKeysSQL = `DELETE FROM idempotency_keys WHERE expires_at <= $1 AND id IN (%s)`
)

// removedBytes is how many bytes of answers one transaction removes, or one answer.
const removedBytes = 1 << 20

// ClaimKey implements idempotency.Keys. A key that is not free costs a read.
func (s *Store) ClaimKey(ctx context.Context, c idempotency.Claim) (key idempotency.Key, err error) {
	key, taken, err := keyOf(ctx, s.read, c, s.now())
	if taken || err != nil {
		return key, failed("claim key", err)
	}
	err = s.inWrite(ctx, "claim key", func(tx *sql.Tx) error {
		now := s.now()
		key = idempotency.Key{Claimed: true, Fingerprint: c.Fingerprint}
		err := tx.QueryRowContext(ctx, claimKeySQL, c.ID, c.Fingerprint, c.Subject, c.Token,
			micros(now.Add(c.Lease)), micros(now.Add(c.TTL)), micros(now), micros(now.Add(farAhead))).Scan(&key.Subject)
		if errors.Is(err, sql.ErrNoRows) { // somebody was faster
			key, _, err = keyOf(ctx, tx, c, now)
		}
		return err
	})
	if err != nil {
		return idempotency.Key{}, err
	}
	return key, nil
}

// keyOf returns a key as it is, and whether it is taken: whether it cannot be
// claimed now. One that can be is the claim's, without an answer.
func keyOf(ctx context.Context, db rowQueryer, c idempotency.Claim, now time.Time) (k idempotency.Key, taken bool, err error) {
	free := idempotency.Key{Fingerprint: c.Fingerprint}
	var lease, expires int64
	var status sql.Null[int64]
	var contentType, location, body sql.Null[string]
	err = db.QueryRowContext(ctx, idempotencyKeySQL, c.ID).
		Scan(&k.Fingerprint, &k.Subject, &lease, &expires, &status, &contentType, &location, &body)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return free, false, nil
	case err != nil:
		return free, false, err
	case expires <= micros(now):
		return free, false, nil
	case status.Valid:
		k.Answer = &idempotency.Answer{Status: int(status.V), ContentType: contentType.V, Location: location.V, Body: []byte(body.V)}
		return k, true, nil
	case (lease <= micros(now) || lease > micros(now.Add(farAhead))) && k.Fingerprint == c.Fingerprint:
		return free, false, nil
	}
	return k, true, nil
}

// rowQueryer is a *sql.DB or a *sql.Tx.
type rowQueryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// AnswerKey implements idempotency.Keys.
func (s *Store) AnswerKey(ctx context.Context, id, token string, a idempotency.Answer) (stored bool, err error) {
	if !utf8.Valid(a.Body) || bytes.IndexByte(a.Body, 0) >= 0 {
		return false, failed("answer key", errors.New("the answer is not text"))
	}
	err = s.inTurn(ctx, writing{operation: "answer key", class: classOfValue(a.Body)}, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, answerKeySQL, int64(a.Status), a.ContentType, textOrNull(a.Location), string(a.Body), id, token)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		stored = n == 1
		return err
	})
	return stored && err == nil, err
}

// ReleaseKey implements idempotency.Keys.
func (s *Store) ReleaseKey(ctx context.Context, id, token string) error {
	return s.inWrite(ctx, "release key", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, releaseKeySQL, id, token)
		return err
	})
}

// RemoveExpiredKeys implements idempotency.Keys. It looks for them before it
// writes, and removes them in transactions of bounded size. Where two replicas
// remove the same keys at once and PostgreSQL ends one of them, the other one
// does the work.
func (s *Store) RemoveExpiredKeys(ctx context.Context, limit int) (removed int, err error) {
	now := micros(s.now())
	pieces, err := s.expiredKeys(ctx, now, limit)
	if err != nil {
		return 0, failed("look for expired keys", err)
	}
	for _, ids := range pieces {
		query := fmt.Sprintf(removeKeysSQL, numbered(2, len(ids)))
		n, err := s.removeSome(ctx, "remove expired keys", query, append([]any{now}, ids...)...)
		removed += int(n)
		if err != nil && !lostRace(err) {
			return removed, err
		}
	}
	return removed, nil
}

// expiredKeys returns the ids of expired keys, at most limit, in pieces for one
// transaction each.
func (s *Store) expiredKeys(ctx context.Context, now int64, limit int) (pieces [][]any, err error) {
	rows, err := s.read.QueryContext(ctx, expiredKeysSQL, now, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var piece []any
	bytes := 0
	for rows.Next() {
		var id string
		var size int
		if err := rows.Scan(&id, &size); err != nil {
			return nil, err
		}
		if len(piece) == removedAtOnce || len(piece) > 0 && bytes+size > removedBytes {
			pieces, piece, bytes = append(pieces, piece), nil, 0
		}
		piece, bytes = append(piece, id), bytes+size
	}
	if len(piece) > 0 {
		pieces = append(pieces, piece)
	}
	return pieces, rows.Err()
}
