package secrets

import (
	"context"
	"errors"
	"time"
)

// Stage selects a version of a secret.
type Stage string

const (
	// Current is the version to use.
	Current Stage = "current"
	// Pending is the next version while a rotation is under way. It may be the only one
	// that works before the rotation ends.
	Pending Stage = "pending"
	// Previous is the version that was current before.
	Previous Stage = "previous"
)

// Version is a present or former value of a secret.
type Version struct {
	ID      string    // independent of the value
	Created time.Time // zero if unknown
	Value   Secret    // text or bytes
}

// Source stores secrets. Implementations are safe for concurrent use. Package secretstest
// tests them.
type Source interface {
	// Get reads the version that has the stage now. Versions with different values have
	// different ids, and the id of a version does not change.
	//
	// The error matches ErrNotFound if there is no such secret or no version of
	// that stage, and ErrRefused if a retry fails until the configuration changes.
	// All other errors may be transient. No error contains a value.
	Get(ctx context.Context, id string, stage Stage) (Version, error)
}

var (
	// ErrNotFound means that the secret does not exist, or has no version of the stage.
	ErrNotFound = errors.New("the secret or the version does not exist")
	// ErrRefused means that the source does not return the secret: permission is
	// missing, or the secret is marked for deletion.
	ErrRefused = errors.New("the secret may not be read")
)
