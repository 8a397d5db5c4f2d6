package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// shownDamages is how many places a check reports at most.
const shownDamages = 5

// QuickCheck reads all pages of an SQLite database and looks whether they are
// sound. The error is a *Fault where some are not; Check then returns it from
// now on. With PostgreSQL there is nothing to check.
//
// It reads over a connection of its own, for some seconds for each gigabyte.
func (s *Store) QuickCheck(ctx context.Context) error {
	if s.file.info == nil {
		return nil
	}
	db, err := sql.Open("sqlite", readerDSN(s.file.path))
	if err != nil {
		return failed("check", err)
	}
	defer db.Close()
	places, err := quickCheck(ctx, db)
	if f := faultOf(err); err != nil && (f == nil || f.reason != damaged) {
		return failed("check", err)
	}
	if err == nil && len(places) == 0 {
		return nil
	}
	if len(places) > 0 {
		err = errors.New(strings.Join(places, "; "))
	}
	fault := damageOf(s.file.path, err)
	s.health.note(s.now(), fault)
	return fault
}

func damageOf(path string, err error) *Fault {
	return &Fault{damaged, fmt.Sprintf("the database file %s has damaged pages; stop the gateway and restore a backup of it (docs/operations.md)", path), err}
}

// quickCheck returns the damaged places, of which there are none in a sound
// database.
func quickCheck(ctx context.Context, db *sql.DB) (places []string, err error) {
	rows, err := db.QueryContext(ctx, fmt.Sprintf("PRAGMA quick_check(%d)", shownDamages))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var place string
		if err := rows.Scan(&place); err != nil {
			return nil, err
		}
		if place != "ok" {
			places = append(places, strings.ReplaceAll(place, "\n", " "))
		}
	}
	return places, rows.Err()
}

// Size is how many bytes the file of an SQLite database had when it was opened,
// or 0.
func (s *Store) Size() int64 {
	if s.file.info == nil {
		return 0
	}
	return s.file.info.Size()
}
