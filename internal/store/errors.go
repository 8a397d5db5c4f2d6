package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

// ErrClosed is returned by Append once the store is closed.
var ErrClosed = errors.New("the store is closed")

// violation says which kind of constraint a statement broke.
type violation int

const (
	noViolation violation = iota
	uniqueViolation
	dataViolation // a value that its column refuses, or a reference to nothing
)

// violationOf finds a broken constraint in an error of the driver. It is the
// only place that knows the drivers' error codes.
func violationOf(err error) violation {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return noViolation
	}
	const primary = 0xff // the rest of an extended code says which constraint
	switch code := e.Code(); {
	case code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return uniqueViolation
	case code&primary == sqlite3.SQLITE_CONSTRAINT || code == sqlite3.SQLITE_TOOBIG:
		return dataViolation
	}
	return noViolation
}

// failed turns what stopped an operation into the error that callers see: one
// that they can act on stays as it is, a broken constraint gets a kind, and
// all others get the operation's name.
func failed(operation string, err error) error {
	var known *predict.Error
	if err == nil || errors.As(err, &known) || errors.Is(err, modelswap.ErrStale) {
		return err
	}
	wrapped := fmt.Errorf("store: %s: %w", operation, err)
	switch violationOf(err) {
	case uniqueViolation:
		return &predict.Error{Kind: predict.Conflict, Detail: "another one exists already", Err: wrapped}
	case dataViolation:
		return &predict.Error{Kind: predict.Invalid, Detail: "a value cannot be stored", Err: wrapped}
	}
	return wrapped
}
