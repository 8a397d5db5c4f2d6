package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	clockSQL = `SELECT checked_at, doubt_since FROM clock WHERE id = 1`

	setClockSQL = `
INSERT INTO clock (id, checked_at, doubt_since) VALUES (1, $1, $2)
ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at, doubt_since = excluded.doubt_since`

	newestTimeSQL = `SELECT created_at FROM predictions ORDER BY id DESC LIMIT 1`
)

// maxClockStep is how far a clock may be ahead of the last check before it is in
// doubt, and how long it must run on before it is accepted.
const maxClockStep = 24 * time.Hour

// CheckClock returns an error while now may be the time of a clock that is wrong.
// It is called before rows are removed by their age: a clock that is months ahead
// would make all of them too old.
//
// The database keeps the time of the last check. A clock that is more than
// maxClockStep ahead of it is in doubt, and accepted once it has run on for
// maxClockStep. The same holds after a long stop. A check by a gateway with a right
// clock on the same database ends the doubt: a wrong clock then has to run on anew.
func (s *Store) CheckClock(ctx context.Context, now time.Time) error {
	var doubt error
	err := s.inTurn(ctx, writing{operation: "check the clock", class: bulk}, func(tx *sql.Tx) error {
		last, err := readClock(ctx, tx, now)
		if err != nil {
			return err
		}
		var next clockCheck
		next, doubt = last.check(now)
		since := int64(0)
		if !next.doubtSince.IsZero() {
			since = micros(next.doubtSince)
		}
		_, err = tx.ExecContext(ctx, setClockSQL, micros(next.checkedAt), since)
		return err
	})
	if err != nil {
		return err
	}
	return doubt
}

// readClock reads the last check. If there is none, the time of the newest
// prediction counts as one, or else now.
func readClock(ctx context.Context, tx *sql.Tx, now time.Time) (clockCheck, error) {
	var checked, since int64
	err := tx.QueryRowContext(ctx, clockSQL).Scan(&checked, &since)
	if errors.Is(err, sql.ErrNoRows) {
		if err = tx.QueryRowContext(ctx, newestTimeSQL).Scan(&checked); errors.Is(err, sql.ErrNoRows) {
			return clockCheck{checkedAt: now}, nil
		}
	}
	c := clockCheck{checkedAt: fromMicros(checked)}
	if since != 0 {
		c.doubtSince = fromMicros(since)
	}
	return c, err
}

// clockCheck is the stored result of a check.
type clockCheck struct {
	checkedAt  time.Time
	doubtSince time.Time // zero: no clock is in doubt
}

// check returns the result of a check at now, with an error if now is in doubt.
func (c clockCheck) check(now time.Time) (clockCheck, error) {
	if now.Sub(c.checkedAt) <= maxClockStep {
		return clockCheck{checkedAt: now}, nil
	}
	doubted := now.Sub(c.doubtSince)
	if c.doubtSince.IsZero() || doubted < 0 || doubted >= 2*maxClockStep { // the clock jumped again, or the gateway was stopped
		c.doubtSince, doubted = now, 0
	}
	if doubted >= maxClockStep {
		return clockCheck{checkedAt: now}, nil
	}
	return c, fmt.Errorf("the clock of this gateway says %s, and the last check before a removal was at %s; "+
		"if the clock is right, removal by age goes on at %s, else correct it",
		now.UTC().Format(time.RFC3339), c.checkedAt.UTC().Format(time.RFC3339),
		c.doubtSince.Add(maxClockStep).UTC().Format(time.RFC3339))
}
