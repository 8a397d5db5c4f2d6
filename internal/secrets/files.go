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

// FilePrefix begins the ids of secrets that are files.
const FilePrefix = "file:"

// maxFile is more than any secret has; Secrets Manager takes 64 KiB.
const maxFile = 1 << 20

// Files is the source of secrets in files, with ids such as file:/run/db.json.
// Replace a file by renaming another one over it, so that no half of it can be
// read. A version is named by the time the file was last changed.
//
// A file has one value. Its previous version is the one that was read from it
// before, and so is unknown after a start; it never has a pending one.
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
		if strings.HasPrefix(known.current.ID, read.ID) { // changed again within one tick of the clock
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
	return Version{}, fmt.Errorf("%s: no %s version is known of a file: %w", path, stage, ErrNotFound)
}

// readFile reads text and time through one handle, so that they belong together.
// It looks at the kind of the file first, because to open a FIFO would wait for
// a writer.
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
