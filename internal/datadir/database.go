package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// A data dir belongs to one database: its outbox holds rows for it, and its
// tokens were given to those who use it. The file databaseFile records which, from
// the moment at which the database exists until a person removes it. So a
// database that is lost is told from one that was not made yet.

const (
	databaseFile = "gateway.database"
	// SQLiteFile is where the data dir keeps the database, unless that is elsewhere.
	SQLiteFile = "gateway.db"
)

// DatabaseRecord is what a data dir records of its database.
type DatabaseRecord struct {
	Engine string `json:"engine"` // sqlite or postgres
	ID     string `json:"id"`     // as store.Identity has it
}

// ErrDatabase is wrapped by the errors of a data dir whose database is not the
// one that is there.
var ErrDatabase = errors.New("the database of the data dir")

// CheckSQLite returns an error where the file of the database is missing or empty
// and the data dir has been used with one. It returns the record of the database;
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

// lostDatabase says what is wrong with the database, and how to go on.
func (d *Dir) lostDatabase(what string) error {
	return fmt.Errorf("%w is lost: %s, and %s was in use with one: "+
		"restore the database from a backup; or, to begin anew without its customers and models, move the data dir away", ErrDatabase, what, d.path)
}

// CheckDatabase returns an error where the database that was opened is not the one
// that is recorded. An empty id is that of a database which is empty.
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

// RecordDatabase records the database, which must exist by then. The file appears
// whole or not at all.
func (d *Dir) RecordDatabase(record DatabaseRecord) error {
	text, err := json.Marshal(record)
	if err != nil {
		return err
	}
	part := d.Path(databaseFile + ".part")
	file, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(part, d.Path(databaseFile))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", d.Path(databaseFile), err), os.Remove(part))
	}
	return SyncDir(d.path)
}

// hasOutbox reports whether predictions were ever kept here. A gateway makes the
// outbox after the database.
func (d *Dir) hasOutbox() bool {
	entries, _ := os.ReadDir(d.Path("outbox")) // none where it cannot be read, which opening it reports
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return e.Name() != "lost+found" // of a disk that is mounted there
	})
}
