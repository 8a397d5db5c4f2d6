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

	// isUsedSQL reports whether a gateway has stored anything in the database.
	isUsedSQL = `
SELECT CASE WHEN EXISTS (SELECT 1 FROM customers) OR EXISTS (SELECT 1 FROM predictions)
    OR EXISTS (SELECT 1 FROM renewals) OR EXISTS (SELECT 1 FROM models) THEN 1 ELSE 0 END`
)

// Identity returns the id of the database, which never changes and which copies
// share. A database without an id gets known as its id, or a new one if known is
// empty. An unused database does not get known: Identity then returns "".
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
