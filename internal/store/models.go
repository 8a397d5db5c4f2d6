package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

const (
	insertModelSQL = `
INSERT INTO models
    (name, renewal, algorithm, schema, data, row_count, parameters, metrics, created_at, deployed_at, retired_at, removed_at, watermark, figures, line)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (name) DO UPDATE
SET renewal = excluded.renewal, algorithm = excluded.algorithm, schema = excluded.schema, data = excluded.data,
    row_count = excluded.row_count, parameters = excluded.parameters, metrics = excluded.metrics,
    created_at = excluded.created_at, removed_at = excluded.removed_at, watermark = excluded.watermark,
    figures = excluded.figures
WHERE models.line = excluded.line`

	// The renewal's row is locked until the record is written, so that no claim comes
	// between.
	holdRenewalSQL = `UPDATE renewals SET revision = revision WHERE id = $1 AND revision = $2 AND line = $3`

	selectModelsSQL = `
SELECT name, renewal, algorithm, schema, data, row_count, parameters, metrics, created_at, deployed_at, retired_at,
    removed_at, watermark
FROM models `

	modelSQL   = selectModelsSQL + `WHERE name = $1 AND line = $2`
	figuresSQL = `SELECT figures FROM models WHERE name = $1 AND line = $2`
	modelsSQL  = selectModelsSQL + `WHERE line = $1 ORDER BY created_at DESC, name DESC`

	// A model is marked as the one that serves from deployed_at to retired_at.
	isMarkedSQL = `SELECT CASE WHEN deployed_at IS NOT NULL AND retired_at IS NULL THEN 1 ELSE 0 END FROM models WHERE name = $1 AND line = $2`
	laterSQL    = `
SELECT count(*) FROM models WHERE deployed_at > $1 AND name <> $2 AND line = $3 AND schema = (SELECT schema FROM models WHERE name = $2)`
	retireSQL = `
UPDATE models SET retired_at = $1
WHERE deployed_at IS NOT NULL AND retired_at IS NULL AND name <> $2 AND line = $3 AND schema = (SELECT schema FROM models WHERE name = $2)`
	markSQL    = `UPDATE models SET deployed_at = $1, retired_at = NULL WHERE name = $2`
	removedSQL = `UPDATE models SET removed_at = $1 WHERE name = $2 AND line = $3`
)

// InsertModel records a model that a renewal made, where by.Revision is the
// renewal's stored revision; else it returns modelswap.ErrStale. The zero Fence is
// not checked. A record of the same name is replaced, except DeployedAt and
// RetiredAt. Serving is not recorded.
func (l *Line) InsertModel(ctx context.Context, m modelswap.Model, by modelswap.Fence) error {
	parameters, err1 := encodeOptional(m.Parameters, m.Parameters == nil)
	metrics, err2 := encodeOptional(m.Metrics, m.Metrics == nil)
	figures, err3 := encodeOptional(m.Figures, m.Figures == nil)
	if err := errors.Join(err1, err2, err3); err != nil {
		return failed("insert model", err)
	}
	return l.inWrite(ctx, "insert model", func(tx *sql.Tx) error {
		if err := l.holdRenewal(ctx, tx, by); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, insertModelSQL, m.Name, m.Renewal, m.Algorithm, m.Schema, m.Data, int64(m.Rows),
			parameters, metrics, micros(m.CreatedAt), optionalMicros(m.DeployedAt), optionalMicros(m.RetiredAt),
			optionalMicros(m.RemovedAt), m.Watermark, figures, l.id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); n == 0 && err == nil {
			return failure.Errorf(failure.Conflict, "there is a model %s of another schema", m.Name)
		}
		return nil
	})
}

// holdRenewal locks the row of a renewal until tx ends. It returns modelswap.ErrStale if
// by.Revision is not its stored revision. The zero Fence is not checked.
func (l *Line) holdRenewal(ctx context.Context, tx *sql.Tx, by modelswap.Fence) error {
	if by == (modelswap.Fence{}) {
		return nil
	}
	result, err := tx.ExecContext(ctx, holdRenewalSQL, by.Renewal, by.Revision, l.id)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return modelswap.ErrStale
	}
	return nil
}

// Model returns the record of a model without its figures; kind NotFound if there is
// none.
func (l *Line) Model(ctx context.Context, name string) (*modelswap.Model, error) {
	m, err := scanModel(l.read.QueryRowContext(ctx, modelSQL, name, l.id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, noModel(name)
	}
	if err != nil {
		return nil, failed("model", err)
	}
	return &m, nil
}

func noModel(name string) error {
	return failure.Errorf(failure.NotFound, "there is no model %q", name)
}

// Figures returns the figures that were recorded with a model, nil if there are none
// or there is no such model.
func (l *Line) Figures(ctx context.Context, name string) (*modelswap.Figures, error) {
	var text sql.Null[string]
	err := l.read.QueryRowContext(ctx, figuresSQL, name, l.id).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	var figures *modelswap.Figures
	if err == nil {
		err = decodeOptional(text, &figures)
	}
	return figures, failed("figures", err)
}

// Models returns the records of all models without their figures, newest first.
func (l *Line) Models(ctx context.Context) ([]modelswap.Model, error) {
	rows, err := l.read.QueryContext(ctx, modelsSQL, l.id)
	if err != nil {
		return nil, failed("models", err)
	}
	defer rows.Close()
	var models []modelswap.Model
	for rows.Next() {
		m, err := scanModel(rows)
		if err != nil {
			return nil, failed("models", err)
		}
		models = append(models, m)
	}
	return models, failed("models", rows.Err())
}

// MarkServing records that a model serves from at on, and retires any other model of
// its schema that was marked as serving; kind NotFound if there is no such model. If
// the model is marked already, it changes nothing. If another model of the schema
// was marked as serving from a later time on, it returns modelswap.ErrStale.
func (l *Line) MarkServing(ctx context.Context, name string, at time.Time) error {
	return l.inWrite(ctx, "mark the serving model", func(tx *sql.Tx) error {
		// Concurrent calls for different models would leave both marked.
		if _, err := holdSequence(ctx, tx); err != nil {
			return err
		}
		var marked bool
		switch err := tx.QueryRowContext(ctx, isMarkedSQL, name, l.id).Scan(&marked); {
		case errors.Is(err, sql.ErrNoRows):
			return noModel(name)
		case err != nil || marked:
			return err
		}
		var later int
		if err := tx.QueryRowContext(ctx, laterSQL, micros(at), name, l.id).Scan(&later); err != nil {
			return err
		}
		if later > 0 {
			return modelswap.ErrStale
		}
		if _, err := tx.ExecContext(ctx, retireSQL, micros(at), name, l.id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, markSQL, micros(at), name)
		return err
	})
}

// MarkRemoved records that the platform does not have the model any more; kind
// NotFound if there is no such model.
func (l *Line) MarkRemoved(ctx context.Context, name string, at time.Time) error {
	return l.inWrite(ctx, "mark a removed model", func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, removedSQL, micros(at), name, l.id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); n == 0 && err == nil {
			return noModel(name)
		}
		return nil
	})
}

func scanModel(from row) (modelswap.Model, error) {
	var m modelswap.Model
	var parameters, metrics sql.Null[string]
	var created int64
	var deployed, retired, removed sql.Null[int64]
	err := from.Scan(&m.Name, &m.Renewal, &m.Algorithm, &m.Schema, &m.Data, &m.Rows,
		&parameters, &metrics, &created, &deployed, &retired, &removed, &m.Watermark)
	if err != nil {
		return m, err
	}
	m.CreatedAt, m.DeployedAt, m.RetiredAt, m.RemovedAt = fromMicros(created), optionalTime(deployed), optionalTime(retired), optionalTime(removed)
	if err := errors.Join(decodeOptional(parameters, &m.Parameters), decodeOptional(metrics, &m.Metrics)); err != nil {
		return m, fmt.Errorf("model %s: %w", m.Name, err)
	}
	return m, nil
}
