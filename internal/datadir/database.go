package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// A data dir belongs to one database: its outbox has rows for it, and its tokens
// are in use. The file databaseFile records which one, from the creation of the
// database until an operator removes the file. So a lost database is
// distinguished from one that was never created.

const (
	databaseFile = "gateway.database"
	// SQLiteFile is the default file of the database in the data dir.
	SQLiteFile = "gateway.db"
)

// DatabaseRecord is what a data dir records of its database.
type DatabaseRecord struct {
	Engine string `json:"engine"` // sqlite or postgres
	ID     string `json:"id"`     // as store.Identity has it
}

// ErrDatabase is wrapped by errors about a data dir whose recorded database is
// not the present one.
var ErrDatabase = errors.New("the database of the data dir")

// CheckSQLite returns an error if the data dir has been used with a database
// whose file is now missing or empty. It returns the record of the database, or
// the zero DatabaseRecord if there is none.
func (d *Dir) CheckSQLite() (DatabaseRecord, error) {
	record, err := d.Database()
	if err != nil {
		return record, err
	}
	state := "missing"
	switch info, err := os.Stat(d.Path(SQLiteFile)); {
	case err == nil && info.Size() > 0:
		return record, nil
	case err == nil:
		state = "empty"
	case !errors.Is(err, fs.ErrNotExist):
		return record, fmt.Errorf("data dir %s: %w", d.path, err)
	}
	if record.Engine == "sqlite" || record.Engine == "" && d.hasOutbox() {
		return record, d.lostDatabase(fmt.Sprintf("the file %s is %s", d.Path(SQLiteFile), state))
	}
	return record, nil
}

// lostDatabase returns the error of a lost database, with what to do about it.
func (d *Dir) lostDatabase(what string) error {
	return fmt.Errorf("%w is lost: %s, and %s was in use with one: "+
		"restore the database from a backup; or, to start without its customers and models, move the data dir away", ErrDatabase, what, d.path)
}

// CheckDatabase returns an error if the opened database is not the recorded one.
// An empty id means that the opened database is empty.
func (d *Dir) CheckDatabase(record, opened DatabaseRecord) error {
	switch {
	case record.ID == "" || record == opened:
		return nil
	case opened.ID == "":
		return d.lostDatabase(fmt.Sprintf("the %s database is empty", opened.Engine))
	}
	return fmt.Errorf("%w is another one: %s belongs to the %s database %s, and the settings lead to the %s database %s: "+
		"correct the settings; or, to use the data dir with the other database, wait until the outbox is empty, stop the gateway and remove %s",
		ErrDatabase, d.path, record.Engine, record.ID, opened.Engine, opened.ID, d.Path(databaseFile))
}

// Database returns the record of the database; the zero DatabaseRecord if there
// is none.
func (d *Dir) Database() (record DatabaseRecord, err error) {
	text, err := os.ReadFile(d.Path(databaseFile))
	if errors.Is(err, fs.ErrNotExist) {
		return record, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &record)
	}
	if err == nil && (record.Engine == "" || record.ID == "") {
		err = errors.New("it names no database")
	}
	if err != nil {
		return record, fmt.Errorf("%s: %w", d.Path(databaseFile), err)
	}
	return record, nil
}

// RecordDatabase records the database, which must exist. The file appears whole
// or not at all.
func (d *Dir) RecordDatabase(record DatabaseRecord) error {
	text, err := json.Marshal(record)
	if err != nil {
		return err
	}
	err = ReplaceFile(d.Path(databaseFile), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", d.Path(databaseFile), err)
	}
	return nil
}

// hasOutbox reports whether predictions were ever stored here. A gateway creates
// the outbox after the database.
func (d *Dir) hasOutbox() bool {
	entries, _ := os.ReadDir(d.Path("outbox")) // false if it cannot be read; opening it reports the error
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return e.Name() != "lost+found" // created by a disk mounted there
	})
}
