package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"unicode/utf8"

	"gateway/internal/predict"
)

const (
	putArtifactSQL = `
INSERT INTO artifacts (name, body, created_at) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET body = excluded.body, created_at = excluded.created_at`

	artifactSQL = `SELECT body FROM artifacts WHERE name = $1`

	// Whoever makes a model serve and whoever removes it take its row first, and
	// so follow each other: what serves has its artifact.
	holdArtifactSQL   = `UPDATE artifacts SET created_at = created_at WHERE name = $1`
	servesSQL         = `SELECT count(*) FROM serving WHERE model = $1`
	removeArtifactSQL = `DELETE FROM artifacts WHERE name = $1`

	setServingSQL = `
INSERT INTO serving (endpoint, model, changed_at) VALUES ($1, $2, $3)
ON CONFLICT (endpoint) DO UPDATE SET model = excluded.model, changed_at = excluded.changed_at`

	servingModelSQL = `SELECT model FROM serving WHERE endpoint = $1`
)

// PutArtifact stores what a training job made, in the place of an older one of
// that name. The body must be UTF-8 without NUL: the column is text, and not every
// engine keeps any other bytes as they are.
func (s *Store) PutArtifact(ctx context.Context, name string, body []byte) error {
	if len(body) == 0 || !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0 {
		return failed("put artifact", errors.New("the artifact is not text"))
	}
	return s.inTurn(ctx, writing{operation: "put artifact", class: classOfValue(body)}, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, putArtifactSQL, name, string(body), micros(s.now()))
		return err
	})
}

// Artifact returns an artifact, which is the caller's to keep; kind NotFound if
// there is none of that name.
func (s *Store) Artifact(ctx context.Context, name string) ([]byte, error) {
	var body []byte
	err := s.read.QueryRowContext(ctx, artifactSQL, name).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, noArtifact(name)
	}
	return body, failed("artifact", err)
}

// RemoveArtifact removes an artifact. Removing again is no error; that of a
// model that serves, at whatever endpoint, stays: kind Conflict.
func (s *Store) RemoveArtifact(ctx context.Context, name string) error {
	return s.inWrite(ctx, "remove artifact", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, holdArtifactSQL, name); err != nil {
			return err
		}
		var endpoints int
		if err := tx.QueryRowContext(ctx, servesSQL, name).Scan(&endpoints); err != nil {
			return err
		}
		if endpoints > 0 {
			return predict.Errorf(predict.Conflict, "model %s serves", name)
		}
		_, err := tx.ExecContext(ctx, removeArtifactSQL, name)
		return err
	})
}

// SetServing notes which model serves at an endpoint; an empty name means that
// none does any more. Kind NotFound if the model has no artifact.
func (s *Store) SetServing(ctx context.Context, endpoint, model string) error {
	return s.inWrite(ctx, "set the serving model", func(tx *sql.Tx) error {
		if model != "" {
			result, err := tx.ExecContext(ctx, holdArtifactSQL, model)
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); n == 0 && err == nil {
				return noArtifact(model)
			}
		}
		_, err := tx.ExecContext(ctx, setServingSQL, endpoint, model, micros(s.now()))
		return err
	})
}

func noArtifact(name string) error {
	return predict.Errorf(predict.NotFound, "there is no artifact %q", name)
}

// ServingModel returns the model that serves at an endpoint, or "" for none.
func (s *Store) ServingModel(ctx context.Context, endpoint string) (string, error) {
	var model string
	err := s.read.QueryRowContext(ctx, servingModelSQL, endpoint).Scan(&model)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return model, failed("serving model", err)
}
