package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"unicode/utf8"

	"gateway/internal/failure"
)

const (
	putArtifactSQL = `
INSERT INTO artifacts (name, body, created_at, line) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET created_at = artifacts.created_at
WHERE artifacts.body = excluded.body AND artifacts.line = excluded.line`

	artifactSQL = `SELECT body FROM artifacts WHERE name = $1 AND line = $2`

	// Transactions that deploy or remove a model lock this row first, so that the
	// artifact of a serving model is never removed.
	holdArtifactSQL   = `UPDATE artifacts SET created_at = created_at WHERE name = $1 AND line = $2`
	servesSQL         = `SELECT count(*) FROM serving WHERE model = $1`
	removeArtifactSQL = `DELETE FROM artifacts WHERE name = $1 AND line = $2`
)

// PutArtifact stores the artifact of a training job. Storing the same again is no
// error; if there is another artifact of that name, the kind is Conflict. The body
// must be UTF-8 without NUL, since the column is text.
func (l *Line) PutArtifact(ctx context.Context, name string, body []byte) error {
	if len(body) == 0 || !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0 {
		return failed("put artifact", errors.New("the artifact is not text"))
	}
	return l.inTurn(ctx, writing{operation: "put artifact", class: classOfValue(body)}, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, putArtifactSQL, name, string(body), micros(l.now()), l.id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); n == 0 && err == nil {
			return failure.Errorf(failure.Conflict, "model %s has another artifact already", name)
		}
		return nil
	})
}

// Artifact returns an artifact; kind NotFound if there is none of that name.
func (l *Line) Artifact(ctx context.Context, name string) ([]byte, error) {
	var body []byte
	err := l.read.QueryRowContext(ctx, artifactSQL, name, l.id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, noArtifact(name)
	}
	return body, failed("artifact", err)
}

// RemoveArtifact removes an artifact. Removing it again is no error. If the model
// serves at an endpoint, the kind is Conflict.
func (l *Line) RemoveArtifact(ctx context.Context, name string) error {
	return l.inWrite(ctx, "remove artifact", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, holdArtifactSQL, name, l.id); err != nil {
			return err
		}
		var endpoints int
		if err := tx.QueryRowContext(ctx, servesSQL, name).Scan(&endpoints); err != nil {
			return err
		}
		if endpoints > 0 {
			return failure.Errorf(failure.Conflict, "model %s serves", name)
		}
		_, err := tx.ExecContext(ctx, removeArtifactSQL, name, l.id)
		return err
	})
}

func noArtifact(name string) error {
	return failure.Errorf(failure.NotFound, "there is no artifact %q", name)
}
