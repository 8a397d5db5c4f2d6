package store

import (
	"errors"
	"fmt"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

// failed turns what stopped an operation into the error that callers see: one
// that they can act on stays as it is, a broken constraint gets a kind, and
// all others get the operation's name.
func failed(operation string, err error) error {
	var known *failure.Error
	if err == nil || errors.As(err, &known) || errors.Is(err, modelswap.ErrStale) {
		return err
	}
	wrapped := fmt.Errorf("store: %s: %w", operation, err)
	switch violationOf(err) {
	case uniqueViolation:
		return &failure.Error{Kind: failure.Conflict, Detail: "another one exists already", Err: wrapped}
	case dataViolation:
		return &failure.Error{Kind: failure.Invalid, Detail: "a value cannot be stored", Err: wrapped}
	}
	return wrapped
}
