package modelswap

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"

	"gateway/internal/failure"
)

// hasTrainingData reports whether the renewal made training data for a schema.
func (r *Renewal) hasTrainingData(fingerprint string) bool {
	return r.State.Train != "" && r.Step(Convert).Status == StepSucceeded && r.State.Schema == fingerprint
}

// TrainingData opens the newest training CSV of the engine's schema: rows without
// a header, the label first, then the schema's columns; with holdout, the held-out rows
// come after those of training. renewal is the id of the renewal that made it. Kind
// NotFound if there is none.
func (e *Engine) TrainingData(ctx context.Context, holdout bool) (data io.ReadCloser, renewal string, err error) {
	newest, err := e.ports.Renewals.Renewals(ctx, 100, "")
	if err != nil {
		return nil, "", err
	}
	for _, r := range newest {
		if !r.hasTrainingData(e.opts.Schema.Fingerprint()) {
			continue
		}
		names := []string{r.State.Train}
		if holdout {
			names = append(names, r.State.Holdout)
		}
		rows, err := openRows(e.ports.Files.FS(ctx), names...)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed with the files of older renewals
		}
		return rows, r.ID, err
	}
	return nil, "", failure.Errorf(failure.NotFound, "there is no training data for this schema; gateway retrain makes it")
}

// openRows opens files of rows, and all files of folders, one after the other.
func openRows(fsys fs.FS, names ...string) (io.ReadCloser, error) {
	rows := &rowFiles{fsys: fsys}
	for _, name := range names {
		info, err := fs.Stat(fsys, name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			rows.names = append(rows.names, name)
			continue
		}
		entries, err := fs.ReadDir(fsys, name)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			rows.names = append(rows.names, path.Join(name, e.Name()))
		}
	}
	return rows, nil
}

// rowFiles reads files one after the other.
type rowFiles struct {
	fsys  fs.FS
	names []string // not yet opened
	file  fs.File
}

// Read implements io.Reader.
func (f *rowFiles) Read(p []byte) (int, error) {
	for {
		if f.file == nil {
			if len(f.names) == 0 {
				return 0, io.EOF
			}
			var err error
			if f.file, err = f.fsys.Open(f.names[0]); err != nil {
				f.file = nil
				return 0, err
			}
			f.names = f.names[1:]
		}
		n, err := f.file.Read(p)
		if err == io.EOF { // not errors.Is: a connection's failure may wrap io.EOF
			if err = f.Close(); n == 0 && err == nil {
				continue
			}
		}
		return n, err
	}
}

// Close implements io.Closer.
func (f *rowFiles) Close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}
