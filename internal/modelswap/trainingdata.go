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
		file, err := openRows(e.ports.Files.FS(ctx), r.State.Train)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed with the files of older renewals
		}
		return file, r.ID, err
	}
	return nil, "", failure.Errorf(failure.NotFound, "there is no training data for this schema; gateway retrain makes it")
}

// openRows opens a file of rows, or all files of a folder one after the other.
func openRows(fsys fs.FS, name string) (io.ReadCloser, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return fsys.Open(name)
	}
	entries, err := fs.ReadDir(fsys, name)
	if err != nil {
		return nil, err
	}
	rows := &folderReader{fsys: fsys}
	for _, e := range entries {
		rows.names = append(rows.names, path.Join(name, e.Name()))
	}
	return rows, nil
}

// folderReader reads files one after the other.
type folderReader struct {
	fsys  fs.FS
	names []string // not yet opened
	file  fs.File
}

// Read implements io.Reader.
func (f *folderReader) Read(p []byte) (int, error) {
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
func (f *folderReader) Close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}
