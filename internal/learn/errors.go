package learn

import (
	"errors"
	"fmt"
)

// The kinds of failure a caller can tell apart with errors.Is. A cancelled
// context is returned as its own error, and nothing else can go wrong.
var (
	// ErrInput marks what the caller can put right: data that cannot be
	// learned from, or a hyperparameter that is unknown or has a bad value.
	ErrInput = errors.New("learn: bad input")

	// ErrArtifact marks bytes that are not an intact artifact this version
	// can read.
	ErrArtifact = errors.New("learn: bad artifact")

	// ErrSchema marks an intact artifact trained for another feature schema.
	ErrSchema = errors.New("learn: schema mismatch")
)

// fault is an error of one kind whose text is only the reason, so that a
// person is not told "bad input" before every sentence.
type fault struct {
	kind   error
	reason string
}

func (f *fault) Error() string { return f.reason }
func (f *fault) Unwrap() error { return f.kind }

func inputErrorf(format string, args ...any) error {
	return &fault{ErrInput, fmt.Sprintf(format, args...)}
}

func artifactErrorf(format string, args ...any) error {
	return &fault{ErrArtifact, fmt.Sprintf(format, args...)}
}
