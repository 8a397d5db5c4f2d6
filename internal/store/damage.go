package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// maxDamages is how many damaged places a check reports.
const maxDamages = 5

// QuickCheck reads and checks all pages of an SQLite database. If some are damaged,
// the error is a *Fault, which Check returns from then on. With PostgreSQL it does
// nothing.
//
// It uses a connection of its own and takes some seconds for each gigabyte.
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
	s.health.note(s.now(), fault, false)
	return fault
}

func damageOf(path string, err error) *Fault {
	return &Fault{damaged, fmt.Sprintf("the database file %s has damaged pages; stop the gateway and restore a backup of it (docs/operations.md)", path), err}
}

// quickCheck returns the damaged places.
func quickCheck(ctx context.Context, db *sql.DB) (places []string, err error) {
	rows, err := db.QueryContext(ctx, fmt.Sprintf("PRAGMA quick_check(%d)", maxDamages))
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

// Size is the size in bytes of an SQLite database when it was opened; 0 with
// PostgreSQL.
func (s *Store) Size() int64 {
	if s.file.info == nil {
		return 0
	}
	return s.file.info.Size()
}
