package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

var (
	_ predict.Ledger      = (*Line)(nil)
	_ modelswap.Renewals  = (*Line)(nil)
	_ modelswap.Models    = (*Line)(nil)
	_ modelswap.Schedules = (*Line)(nil)
	_ modelswap.Traffic   = (*Line)(nil)
)

// Line is the part of a database that belongs to one model line. A model line is
// everything that belongs to the model of one schema, and has the schema's name: the
// ledger of predictions, renewals and their schedule, models, their artifacts, and
// which of them serves. The methods of Line read and write only rows of its line.
//
// A Line also has the methods of its Store, for what the lines of a database
// share: customers and their outcomes, idempotency keys, the audit log, removal by
// age. It is safe for concurrent use, and is closed with its Store.
type Line struct {
	*Store
	id   int64
	name string

	insertPredictionRows map[int]*sql.Stmt // on write, by the number of rows
	parts                partStatements

	// CountsNothing says that predictions are not counted in the sums of insights, for
	// measurements of what that costs. It is set before the first of them.
	CountsNothing bool
}

// firstLine is the line of rows that earlier versions of the gateway inserted.
const firstLine = 1

const (
	lineSQL       = `SELECT id FROM model_lines WHERE name = $1`
	nameLineSQL   = `UPDATE model_lines SET name = $1 WHERE id = $2 AND name = ''`
	insertLineSQL = `INSERT INTO model_lines (id, name) SELECT max(id) + 1, $1 FROM model_lines RETURNING id`
	newestNameSQL = `SELECT name FROM models WHERE line = $1 ORDER BY created_at DESC, name DESC LIMIT 1`
	otherLinesSQL = `SELECT name FROM model_lines WHERE id <> $1 ORDER BY id`
)

// OpenLine opens the line of that name, which is the name of a schema, or makes
// one. Rows of earlier versions of the gateway, which have no lines, belong to the
// first line that is opened, unless their newest model is named after another
// schema.
func (s *Store) OpenLine(ctx context.Context, name string) (*Line, error) {
	if name == "" {
		return nil, failed("open line", errors.New("the line has no name"))
	}
	l := &Line{Store: s, name: name}
	err := s.read.QueryRowContext(ctx, lineSQL, name).Scan(&l.id)
	if errors.Is(err, sql.ErrNoRows) {
		l.id, err = s.makeLine(ctx, name)
	}
	if err == nil {
		l.insertPredictionRows, err = prepareInserts(ctx, s.write, s.inserts, l.id)
	}
	if err == nil {
		l.parts, err = prepareParts(ctx, s.write)
	}
	if err != nil {
		return nil, failed("open line "+name, err)
	}
	return l, nil
}

// makeLine returns the id of the line of that name, after making the line where
// there is none.
func (s *Store) makeLine(ctx context.Context, name string) (id int64, err error) {
	err = s.inWrite(ctx, "make line", func(tx *sql.Tx) error {
		// One process at a time makes a line.
		if _, err := holdSequence(ctx, tx); err != nil {
			return err
		}
		err := tx.QueryRowContext(ctx, lineSQL, name).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		var newest string
		err = tx.QueryRowContext(ctx, newestNameSQL, firstLine).Scan(&newest)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if modelswap.MayBeNamedAfter(newest, name) {
			result, err := tx.ExecContext(ctx, nameLineSQL, name, firstLine)
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); n == 1 || err != nil {
				id = firstLine
				return err
			}
		}
		return tx.QueryRowContext(ctx, insertLineSQL, name).Scan(&id)
	})
	return id, err
}

// Name returns the line's name.
func (l *Line) Name() string { return l.name }

// OtherLines returns the names of the other lines of the database, oldest first. One
// is empty while the rows of earlier versions have no name.
func (l *Line) OtherLines(ctx context.Context) ([]string, error) {
	rows, err := l.read.QueryContext(ctx, otherLinesSQL, l.id)
	if err != nil {
		return nil, failed("other lines", err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, failed("other lines", err)
		}
		names = append(names, name)
	}
	return names, failed("other lines", rows.Err())
}

// key returns a primary key for a row of the line. The keys of the first line are
// those of earlier versions of the gateway.
func (l *Line) key(key string) string {
	if l.id == firstLine {
		return key
	}
	return fmt.Sprintf("%s %d", key, l.id)
}
