package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

// A lease names the gateway that works on a renewal, and when the lease expires, by
// that gateway's clock. It keeps other gateways from starting the same work.
// Correctness does not depend on it but on the revision: every claim and every save
// increments it, and a save names the revision that it is based on, so that a
// gateway that has lost its lease cannot save. If the clocks of machines differ, a
// renewal changes its owner too early or too late.

// farAhead is longer than any lease and any pause. A time further ahead was
// written by a wrong clock and counts as past. Otherwise, after the clock has been
// corrected, the renewal or the request would have no owner until that time.
const farAhead = 24 * time.Hour

const (
	// The conditions appear twice: if two gateways claim the same renewal, the
	// second waits for the first, and PostgreSQL then evaluates the outer condition
	// again but not the subquery.
	claimRenewalSQL = `
UPDATE renewals SET revision = revision + 1, lease_owner = $1, lease_until = $2
WHERE id = (
    SELECT id FROM renewals WHERE ` + claimableSQL + `
    ORDER BY wake_at, created_at, id LIMIT 1)
  AND ` + claimableSQL + `
RETURNING id`

	// $5 is the claimant's schema. A renewal of another one is claimed where no
	// gateway has worked on it since $6.
	claimableSQL = `status IN ('queued', 'running') AND (wake_at <= $3 OR wake_at > $4)
      AND (lease_owner IS NULL OR lease_owner = $1 OR lease_until <= $3 OR lease_until > $4)
      AND (schema IN ($5, '') OR (wake_at <= $6 OR wake_at > $4)
          AND (COALESCE(lease_until, created_at) <= $6 OR lease_until > $4))
      AND line = $7`

	extendLeaseSQL = `
UPDATE renewals SET lease_until = $1
WHERE id = $2 AND lease_owner = $3 AND status IN ('queued', 'running') AND line = $4
RETURNING cancel`

	requestCancelSQL = `
UPDATE renewals SET cancel = 1, wake_at = 0
WHERE id = $1 AND status IN ('queued', 'running') AND line = $2`
)

// ClaimRenewal takes, for owner and for as long as lease, the unfinished
// renewal that is due and that no other owner holds: its lease is free, has
// expired or is the owner's own. It is one of the schema, or one that no gateway
// has worked on for modelswap.Stranded. It returns nil if there is none, and
// increments the revision, the owner's own claim included.
func (l *Line) ClaimRenewal(ctx context.Context, owner, schema string, lease time.Duration) (*modelswap.Renewal, error) {
	var claimed *modelswap.Renewal
	err := l.inWrite(ctx, "claim renewal", func(tx *sql.Tx) error {
		now := l.now()
		var id string
		err := tx.QueryRowContext(ctx, claimRenewalSQL, owner, micros(now.Add(lease)), micros(now), micros(now.Add(farAhead)),
			schema, micros(now.Add(-modelswap.Stranded)), l.id).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		found, err := queryRenewals(ctx, tx, renewalSQL, id, l.id)
		if err != nil {
			return err
		}
		claimed = found[0]
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// ExtendLease extends the owner's lease to the given time from now, also if it
// has expired and no other gateway has claimed the renewal. It reports whether the
// renewal is to be cancelled. It returns modelswap.ErrStale if owner does not hold
// the renewal or the renewal has ended.
func (l *Line) ExtendLease(ctx context.Context, id, owner string, lease time.Duration) (cancel bool, err error) {
	err = l.inWrite(ctx, "extend lease", func(tx *sql.Tx) error {
		until := micros(l.now().Add(lease))
		err := tx.QueryRowContext(ctx, extendLeaseSQL, until, id, owner, l.id).Scan(&cancel)
		if errors.Is(err, sql.ErrNoRows) {
			return modelswap.ErrStale
		}
		return err
	})
	if err != nil {
		return false, err
	}
	return cancel, nil
}

// RequestCancel notes that the renewal is to be cancelled and makes it due at
// once. It leaves the revision alone, so that its owner can still save; a save
// that does not know of the request leaves that in force. Kind NotFound if there
// is none, Conflict if it has ended.
func (l *Line) RequestCancel(ctx context.Context, id string) error {
	var noted bool
	err := l.inWrite(ctx, "cancel renewal", func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, requestCancelSQL, id, l.id)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		noted = n == 1
		return err
	})
	if noted || err != nil {
		return err
	}
	r, err := l.Renewal(ctx, id)
	if err != nil {
		return err
	}
	return failure.Errorf(failure.Conflict, "renewal %s is %s", id, r.Status)
}
