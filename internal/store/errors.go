package store

import (
	"errors"
	"fmt"

	"gateway/internal/failure"
	"gateway/internal/modelswap"
)

// failed returns the error of an operation for callers. It leaves a *failure.Error
// and modelswap.ErrStale as they are, gives a violated constraint a kind, and adds
// the name of the operation to all other errors.
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
