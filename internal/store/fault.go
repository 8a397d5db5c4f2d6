package store

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Fault is why the database cannot be used.
type Fault struct {
	reason string // one of the constants below
	detail string
	err    error // nil for none
}

// The reasons of faults.
const (
	readOnly     = "read_only"
	diskFull     = "disk_full"
	noPermission = "no_permission"
	unreachable  = "unreachable"
	locked       = "locked"
	moved        = "moved"
	damaged      = "damaged"
	ioError      = "io_error"
)

// Error implements error.
func (f *Fault) Error() string {
	if f.err == nil {
		return f.detail
	}
	return f.detail + ": " + f.err.Error()
}

// Unwrap returns the error of the driver.
func (f *Fault) Unwrap() error { return f.err }

// Reason is the kind of fault in one word. It has no details, so anyone may read it.
func (f *Fault) Reason() string { return f.reason }

// faultOf returns the fault that an error reports. It is nil if a statement failed
// because of its values, or its time ran out: the database may be well.
func faultOf(err error) *Fault {
	var known *Fault
	var pg *pgconn.PgError
	var lite *sqlite.Error
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return nil
	case errors.As(err, &known):
		return known
	case errors.As(err, &pg):
		return postgresFault(pg.Code, err)
	case errors.As(err, &lite):
		return sqliteFault(lite.Code(), err)
	case errors.Is(err, context.DeadlineExceeded):
		return nil
	case errors.As(err, &connect), errors.As(err, &network):
		return &Fault{unreachable, "the database server cannot be reached", err}
	}
	return nil
}

// readOnlyCode is PostgreSQL's read_only_sql_transaction.
const readOnlyCode = "25006"

func postgresFault(code string, err error) *Fault {
	switch {
	case code == readOnlyCode:
		return &Fault{readOnly, "the database server is read-only: it is a replica, or the user may only read", err}
	case code == "53100": // disk_full
		return &Fault{diskFull, "the disk of the database server is full", err}
	case code == "42501": // insufficient_privilege
		return &Fault{noPermission, "the database user lacks a permission", err}
	case strings.HasPrefix(code, "28"): // invalid authorization
		return &Fault{noPermission, "the database server refuses the login", err}
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "57P"), strings.HasPrefix(code, "53"):
		return &Fault{unreachable, "the database server accepts no work", err}
	case strings.HasPrefix(code, "58"): // system error
		return &Fault{ioError, "the database server cannot read or write its files", err}
	case strings.HasPrefix(code, "XX"):
		return &Fault{damaged, "the database server reports damage", err}
	}
	return nil
}

func sqliteFault(code int, err error) *Fault {
	const primary = 0xff
	switch code & primary {
	case sqlite3.SQLITE_FULL:
		return &Fault{diskFull, "the disk of the database file is full", err}
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return &Fault{noPermission, "the database file cannot be written", err}
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return &Fault{locked, "another process has locked the database file", err}
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return &Fault{damaged, "the database file is damaged; restore a backup of it (docs/operations.md)", err}
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM:
		return &Fault{ioError, "the database file cannot be read or written", err}
	}
	return nil
}

// isReadOnly reports whether the server of a connection is read-only.
func isReadOnly(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == readOnlyCode
}
