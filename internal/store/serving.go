package store

import (
	"context"
	"database/sql"
	"errors"

	"gateway/internal/modelswap"
)

// Which model serves.
//
// A line has one row for each endpoint and schema. changed_at is its version: it
// rises with each change of the model. renewal and revision are the fence of the
// newest change or hold (modelswap.Fence). A process may be stopped for a while
// before it writes, so each write states what it is based on, in the statement
// itself; modelswap.Change.Check is the rule.

const (
	// There is one row: that of this version, or that of an earlier version of the
	// gateway.
	servingSQL = `
SELECT model, changed_at, renewal, revision FROM serving WHERE endpoint IN ($1, $2) AND schema IN ($3, '') AND line = $4`

	// $4 is 1 for a change, and 0 for a hold, which does not change the model.
	changeServingSQL = `
UPDATE serving
SET schema = $1, renewal = $2, revision = $3,
    model = CASE WHEN CAST($4 AS BIGINT) = 1 THEN CAST($5 AS TEXT) ELSE model END,
    changed_at = CASE WHEN CAST($4 AS BIGINT) = 0 OR model = $5 THEN changed_at
        WHEN changed_at < CAST($6 AS BIGINT) THEN CAST($6 AS BIGINT) ELSE changed_at + 1 END
WHERE endpoint IN ($7, $8) AND schema IN ($1, '') AND line = $9
  AND (renewal <> '' AND renewal = $2 AND revision <= $3
       OR NOT (renewal <> '' AND renewal = $2)
          AND (changed_at = CAST($10 AS BIGINT) OR CAST($10 AS BIGINT) = 0 AND CAST($11 AS TEXT) <> '')
          AND model IN (CAST($11 AS TEXT), CAST($5 AS TEXT)))
RETURNING changed_at`

	insertServingSQL = `
INSERT INTO serving (endpoint, model, changed_at, schema, renewal, revision, line) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (endpoint) DO NOTHING`
)

// servingKeys are the keys that the line's row of an endpoint and a schema may
// have: that of an earlier version of the gateway, and its own.
func (l *Line) servingKeys(endpoint, schema string) (earlier, own string) {
	return endpoint, l.key(endpoint + " " + schema)
}

// Serving returns which model serves at an endpoint for gateways of a schema.
func (l *Line) Serving(ctx context.Context, endpoint, schema string) (modelswap.Serving, error) {
	now, _, err := l.readServing(ctx, l.read, endpoint, schema)
	return now, failed("serving model", err)
}

func (l *Line) readServing(ctx context.Context, db rowQueryer, endpoint, schema string) (now modelswap.Serving, by modelswap.Fence, err error) {
	earlier, own := l.servingKeys(endpoint, schema)
	err = db.QueryRowContext(ctx, servingSQL, earlier, own, schema, l.id).Scan(&now.Model, &now.Version, &by.Renewal, &by.Revision)
	if errors.Is(err, sql.ErrNoRows) {
		return modelswap.Serving{}, modelswap.Fence{}, nil
	}
	return now, by, err
}

// SetServing makes a model serve at an endpoint, for gateways of a schema, and
// returns the version that it serves with. It has the errors of
// modelswap.Change.Check; kind NotFound if the model has no artifact.
func (l *Line) SetServing(ctx context.Context, endpoint, schema string, c modelswap.Change) (version int64, err error) {
	err = l.inWrite(ctx, "set the serving model", func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, holdArtifactSQL, c.Model, l.id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); n == 0 && err == nil {
			return noArtifact(c.Model)
		}
		version, err = l.changeServing(ctx, tx, endpoint, schema, c, true, c.NextVersion(l.now(), 0))
		return err
	})
	return version, err
}

// HoldServing implements modelswap.Deployer.HoldServing for an endpoint and a
// schema.
func (l *Line) HoldServing(ctx context.Context, endpoint, schema string, c modelswap.Change) error {
	return l.inWrite(ctx, "hold the serving model", func(tx *sql.Tx) error {
		_, err := l.changeServing(ctx, tx, endpoint, schema, c, false, 0)
		return err
	})
}

// changeServing changes or holds the row. If there is none, it inserts it.
func (l *Line) changeServing(ctx context.Context, tx *sql.Tx, endpoint, schema string, c modelswap.Change, deploys bool, at int64) (version int64, err error) {
	earlier, own := l.servingKeys(endpoint, schema)
	err = tx.QueryRowContext(ctx, changeServingSQL, schema, c.By.Renewal, c.By.Revision, flag(deploys), c.Model, at,
		earlier, own, l.id, c.Over.Version, c.Over.Model).Scan(&version)
	if !errors.Is(err, sql.ErrNoRows) {
		return version, err
	}
	now, by, err := l.readServing(ctx, tx, endpoint, schema)
	if err == nil {
		err = c.Check(now, by)
	}
	if err != nil {
		return 0, err
	}
	model := ""
	if deploys {
		model = c.Model
	}
	result, err := tx.ExecContext(ctx, insertServingSQL, own, model, at, schema, c.By.Renewal, c.By.Revision, l.id)
	if err != nil {
		return 0, err
	}
	if n, err := result.RowsAffected(); n == 1 || err != nil {
		return at, err
	}
	return 0, modelswap.ErrStale // another process has inserted the row meanwhile
}
