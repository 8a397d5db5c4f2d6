package secrets

import (
	"context"
	"errors"
	"time"
)

// Stage says which of a secret's versions is meant.
type Stage string

const (
	// Current is the version to use.
	Current Stage = "current"
	// Pending is the next one, while a rotation is under way. Before the
	// rotation ends it may be the only one that works.
	Pending Stage = "pending"
	// Previous is the one that was current before.
	Previous Stage = "previous"
)

// Version is one value that a secret has or had.
type Version struct {
	ID      string    // names the version, and tells nothing about the value
	Created time.Time // zero if unknown
	Value   Secret    // text or bytes
}

// Source is where secrets are kept. Implementations are safe for concurrent
// use; the suite secretstest holds them to what follows.
type Source interface {
	// Get reads the version that bears a stage at this moment. Versions with
	// different values have different ids, and the id of a version stays.
	//
	// The error matches ErrNotFound if there is no such secret or no version of
	// that stage, and ErrRefused if a retry fails until the configuration changes.
	// All other errors may be transient. No error contains a value.
	Get(ctx context.Context, id string, stage Stage) (Version, error)
}

var (
	// ErrNotFound means that there is no such secret, or no such version of it.
	ErrNotFound = errors.New("there is no such secret or version of it")
	// ErrRefused means that the source does not give the secret away: it may
	// not be read by us, or it is to be deleted.
	ErrRefused = errors.New("the secret may not be read")
)
