package modelswap

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"gateway/internal/failure"
)

// hasTrainingData reports whether the renewal made training data for a schema.
func (r *Renewal) hasTrainingData(fingerprint string) bool {
	return r.State.Train != "" && r.Step(Convert).Status == StepSucceeded && r.State.Schema == fingerprint
}

// TrainingData opens the newest training CSV of the engine's schema: rows without
// a header, the label first, then the schema's columns. renewal is the id of the
// renewal that made it. Kind NotFound if there is none.
func (e *Engine) TrainingData(ctx context.Context) (data io.ReadCloser, renewal string, err error) {
	newest, err := e.ports.Renewals.Renewals(ctx, 100, "")
	if err != nil {
		return nil, "", err
	}
	for _, r := range newest {
		if !r.hasTrainingData(e.opts.Schema.Fingerprint()) {
			continue
		}
		file, err := e.ports.Files.FS(ctx).Open(r.State.Train)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed with the files of older renewals
		}
		return file, r.ID, err
	}
	return nil, "", failure.Errorf(failure.NotFound, "there is no training data for this schema; gateway retrain makes it")
}
