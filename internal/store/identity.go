package store

import (
	"context"
	"database/sql"
	"errors"

	"gateway/internal/failure"
)

const (
	identitySQL       = `SELECT value FROM identity WHERE name = 'database'`
	insertIdentitySQL = `INSERT INTO identity (name, value) VALUES ('database', $1) ON CONFLICT (name) DO NOTHING`

	// What a database holds once a gateway has been in use.
	isUsedSQL = `
SELECT CASE WHEN EXISTS (SELECT 1 FROM customers) OR EXISTS (SELECT 1 FROM predictions)
    OR EXISTS (SELECT 1 FROM renewals) OR EXISTS (SELECT 1 FROM models) THEN 1 ELSE 0 END`
)

// Identity returns the database's id, which it keeps for ever and which its
// copies share. A database without one gets known, or a new id where known is
// empty; but an empty database does not get known: then the id is "".
func (s *Store) Identity(ctx context.Context, known string) (id string, err error) {
	err = s.inWrite(ctx, "identity", func(tx *sql.Tx) error {
		id, err = readIdentity(ctx, tx)
		if err != nil || id != "" {
			return err
		}
		if known != "" {
			var used bool
			if err := tx.QueryRowContext(ctx, isUsedSQL).Scan(&used); err != nil || !used {
				return err
			}
		}
		if known == "" {
			known = failure.NewID()
		}
		if _, err := tx.ExecContext(ctx, insertIdentitySQL, known); err != nil {
			return err
		}
		id, err = readIdentity(ctx, tx) // another process may have been faster
		return err
	})
	return id, err
}

func readIdentity(ctx context.Context, tx *sql.Tx) (id string, err error) {
	err = tx.QueryRowContext(ctx, identitySQL).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}
