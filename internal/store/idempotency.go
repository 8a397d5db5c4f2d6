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

// Which process handles a request with an idempotency key.
//
// A claim is a lease, as that of a renewal, and its token is the fence: a process
// that has lost the lease cannot store an answer. An answer ends the lease; the key
// is removed when it expires, or when its owner has too many.

const (
	idempotencyKeySQL = `
SELECT fingerprint, subject, lease_until, expires_at, status, content_type, location, body, unexplained
FROM idempotency_keys WHERE id = $1`

	// The condition is on the stored row. An expired key counts as new. A key whose
	// lease has expired can be claimed by a repetition of the same request, and keeps
	// its subject.
	claimKeySQL = `
INSERT INTO idempotency_keys (id, fingerprint, subject, token, lease_until, expires_at, owner, size)
VALUES ($1, $2, $3, $4, $5, $6, $9, $10)
ON CONFLICT (id) DO UPDATE
SET owner = excluded.owner, size = excluded.size, fingerprint = excluded.fingerprint,
    subject = CASE WHEN idempotency_keys.expires_at <= $7 THEN excluded.subject ELSE idempotency_keys.subject END,
    token = excluded.token, lease_until = excluded.lease_until, expires_at = excluded.expires_at,
    status = NULL, content_type = NULL, location = NULL, body = NULL, unexplained = NULL
WHERE idempotency_keys.expires_at <= $7
   OR (idempotency_keys.status IS NULL AND (idempotency_keys.lease_until <= $7 OR idempotency_keys.lease_until > $8)
       AND idempotency_keys.fingerprint = excluded.fingerprint)
RETURNING subject`

	answerKeySQL = `
UPDATE idempotency_keys SET status = $1, content_type = $2, location = $3, body = $4, size = size + $7, unexplained = $8
WHERE id = $5 AND token = $6 AND status IS NULL`

	releaseKeySQL = `
UPDATE idempotency_keys SET lease_until = 0
WHERE id = $1 AND token = $2 AND status IS NULL`

	expiredKeysSQL = `
SELECT id, coalesce(octet_length(body), 0) FROM idempotency_keys
WHERE expires_at <= $1 ORDER BY expires_at, id LIMIT $2`

	// A key whose request is being handled is not removed.
	oldestKeysSQL = `
SELECT id, size FROM idempotency_keys
WHERE expires_at <= $1 AND owner = $3 AND (status IS NOT NULL OR lease_until <= $4)
ORDER BY expires_at LIMIT $2`

	// A key may have been claimed again since it was found.
	removeKeysSQL = `DELETE FROM idempotency_keys WHERE expires_at <= $1 AND id IN (%s)`

	keyUsageSQL = `SELECT owner, CAST(SUM(size) AS BIGINT) FROM idempotency_keys GROUP BY owner`
)

// removedBytes is how many bytes of answers one transaction removes; it removes at
// least one answer.
const removedBytes = 1 << 20

// ClaimKey implements idempotency.Keys. It only reads if the key is taken.
func (s *Store) ClaimKey(ctx context.Context, c idempotency.Claim) (key idempotency.Key, err error) {
	key, taken, err := keyOf(ctx, s.read, c, s.now())
	if taken || err != nil {
		return key, failed("claim key", err)
	}
	err = s.inWrite(ctx, "claim key", func(tx *sql.Tx) error {
		now := s.now()
		key = idempotency.Key{Claimed: true, Fingerprint: c.Fingerprint}
		err := tx.QueryRowContext(ctx, claimKeySQL, c.ID, c.Fingerprint, c.Subject, c.Token,
			micros(now.Add(c.Lease)), micros(now.Add(c.TTL)), micros(now), micros(now.Add(farAhead)), c.Owner, idempotency.KeyBytes).Scan(&key.Subject)
		if errors.Is(err, sql.ErrNoRows) { // the key is taken
			key, _, err = keyOf(ctx, tx, c, now)
		}
		return err
	})
	if err != nil {
		return idempotency.Key{}, err
	}
	return key, nil
}

// keyOf returns the stored key and whether it is taken, so that it cannot be claimed
// now. If it is not taken, the returned key is that of the claim, without an answer.
func keyOf(ctx context.Context, db rowQueryer, c idempotency.Claim, now time.Time) (k idempotency.Key, taken bool, err error) {
	free := idempotency.Key{Fingerprint: c.Fingerprint}
	var lease, expires int64
	var status sql.Null[int64]
	var contentType, location, body, unexplained sql.Null[string]
	err = db.QueryRowContext(ctx, idempotencyKeySQL, c.ID).
		Scan(&k.Fingerprint, &k.Subject, &lease, &expires, &status, &contentType, &location, &body, &unexplained)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return free, false, nil
	case err != nil:
		return free, false, err
	case expires <= micros(now):
		return free, false, nil
	case status.Valid:
		k.Answer = &idempotency.Answer{Status: int(status.V), ContentType: contentType.V, Location: location.V, Unexplained: unexplained.V, Body: []byte(body.V)}
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
		result, err := tx.ExecContext(ctx, answerKeySQL, int64(a.Status), a.ContentType, textOrNull(a.Location), string(a.Body), id, token, a.Bytes(), textOrNull(a.Unexplained))
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

// RemoveExpiredKeys implements idempotency.Keys.
func (s *Store) RemoveExpiredKeys(ctx context.Context, limit int) (removed int, err error) {
	removed, _, err = s.removeKeys(ctx, "remove expired keys", expiredKeysSQL, micros(s.now()), limit)
	return removed, err
}

// RemoveOldestKeys implements idempotency.Keys.
func (s *Store) RemoveOldestKeys(ctx context.Context, owner string, before time.Time, limit int) (removed int, size int64, err error) {
	return s.removeKeys(ctx, "remove oldest keys", oldestKeysSQL, micros(before), limit, owner, micros(s.now()))
}

// removeKeys removes the keys that a query finds and that expire until before. It
// finds them before it writes, and removes them in transactions of bounded size. If
// two replicas remove the same keys and PostgreSQL ends one of the transactions, the
// other one removes them.
func (s *Store) removeKeys(ctx context.Context, operation, find string, before int64, limit int, args ...any) (removed int, size int64, err error) {
	pieces, err := s.findKeys(ctx, find, append([]any{before, limit}, args...)...)
	if err != nil {
		return 0, 0, failed(operation, err)
	}
	for _, p := range pieces {
		query := fmt.Sprintf(removeKeysSQL, numbered(2, len(p.ids)))
		n, err := s.removeSome(ctx, operation, query, append([]any{before}, p.ids...)...)
		removed += int(n)
		if n > 0 {
			size += p.bytes
		}
		if err != nil && !lostRace(err) {
			return removed, size, err
		}
	}
	return removed, size, nil
}

// keyPiece is the keys that one transaction removes.
type keyPiece struct {
	ids   []any
	bytes int64
}

// findKeys returns the ids that a query finds, in pieces.
func (s *Store) findKeys(ctx context.Context, query string, args ...any) (pieces []keyPiece, err error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var p keyPiece
	for rows.Next() {
		var id string
		var size int64
		if err := rows.Scan(&id, &size); err != nil {
			return nil, err
		}
		if len(p.ids) == removedAtOnce || len(p.ids) > 0 && p.bytes+size > removedBytes {
			pieces, p = append(pieces, p), keyPiece{}
		}
		p.ids, p.bytes = append(p.ids, id), p.bytes+size
	}
	if len(p.ids) > 0 {
		pieces = append(pieces, p)
	}
	return pieces, rows.Err()
}

// KeyUsage implements idempotency.Keys. It reads the whole of an index.
func (s *Store) KeyUsage(ctx context.Context) (held map[string]int64, err error) {
	defer func() { err = failed("count keys", err) }()
	rows, err := s.read.QueryContext(ctx, keyUsageSQL)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	held = make(map[string]int64)
	for rows.Next() {
		var owner string
		var size int64
		if err := rows.Scan(&owner, &size); err != nil {
			return nil, err
		}
		held[owner] = size
	}
	return held, rows.Err()
}
