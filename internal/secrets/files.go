package secrets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

// FilePrefix is the prefix of the ids of secrets in files.
const FilePrefix = "file:"

// maxFile is the maximum size of a file with a secret, in bytes. Secrets Manager has a limit
// of 64 KiB.
const maxFile = 1 << 20

// Files is a Source of secrets in files, with ids such as file:/run/db.json. Replace a file
// by renaming another file over it, so that it is never read half written. The id of a
// version is the modification time of the file.
//
// A file has one value. Its previous version is the one that this process read before, so
// there is none after a start. It has no pending version.
type Files struct {
	mu    sync.Mutex
	known map[string]*file // by path
}

type file struct{ current, previous Version }

// NewFiles makes the source.
func NewFiles() *Files { return &Files{known: make(map[string]*file)} }

// Get implements Source.
func (f *Files) Get(ctx context.Context, id string, stage Stage) (Version, error) {
	path, ok := strings.CutPrefix(id, FilePrefix)
	if !ok || path == "" {
		return Version{}, fmt.Errorf("%q is not %sPATH: %w", id, FilePrefix, ErrNotFound)
	}
	if err := ctx.Err(); err != nil {
		return Version{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	read, err := readFile(path)
	if err != nil {
		return Version{}, err
	}
	known := f.known[path]
	switch {
	case known == nil:
		known = &file{current: read}
		f.known[path] = known
	case !read.Value.Equal(known.current.Value):
		if strings.HasPrefix(known.current.ID, read.ID) { // changed twice within the resolution of the modification time
			read.ID = known.current.ID + "+"
		}
		known.previous, known.current = known.current, read
	}
	switch {
	case stage == Current:
		return known.current, nil
	case stage == Previous && known.previous.ID != "":
		return known.previous, nil
	}
	return Version{}, fmt.Errorf("%s: the file has no known %s version: %w", path, stage, ErrNotFound)
}

// readFile reads the text and the modification time with one file descriptor, so that they
// belong together. It checks first that the file is a regular one, because opening a FIFO
// waits for a writer.
func readFile(path string) (Version, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return Version{}, fmt.Errorf("%s is not a regular file (%w)", path, ErrRefused)
	}
	var file *os.File
	if err == nil {
		file, err = os.Open(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Version{}, fmt.Errorf("%w (%w)", err, ErrNotFound)
	case errors.Is(err, fs.ErrPermission):
		return Version{}, fmt.Errorf("%w (%w)", err, ErrRefused)
	case err != nil:
		return Version{}, err
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return Version{}, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return Version{}, err
	}
	if len(text) > maxFile {
		return Version{}, fmt.Errorf("%s has more than %d bytes (%w)", path, maxFile, ErrRefused)
	}
	changed := info.ModTime().UTC()
	return Version{ID: changed.Format(time.RFC3339Nano), Created: changed, Value: New(string(text))}, nil
}
