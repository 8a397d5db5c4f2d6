package datadir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// Dir is the folder of all local state. One process at a time holds it. The lock
// ends with the process, also after a crash.
type Dir struct {
	path string
	lock *flock.Flock
}

// Owner describes the process that holds a data dir.
type Owner struct {
	PID int    `json:"pid"`
	URL string `json:"url,omitempty"` // address of its API, if it has one
}

const ownerFile = "gateway.owner"

// ErrInUse is wrapped by Open's error when another process holds the folder.
var ErrInUse = errors.New("in use")

// Open creates the folder if necessary, readable by its owner only, and locks it
// for this process.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data dir: %w", err)
	}
	d := &Dir{path: path, lock: flock.New(filepath.Join(path, "gateway.lock"), flock.SetPermissions(0o600))}
	taken, err := d.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("data dir %s: %w", path, err)
	}
	if !taken {
		owner := OwnerOf(path)
		text := fmt.Sprintf("data dir %s is %%w by another gateway", path)
		if owner.PID != 0 {
			text += fmt.Sprintf(" (process %d)", owner.PID)
		}
		if owner.URL != "" {
			text += fmt.Sprintf("; use its API with --url %s", owner.URL)
		}
		return nil, fmt.Errorf(text, ErrInUse)
	}
	// Remove the files of a process that was killed.
	if err := os.RemoveAll(d.TempDir()); err != nil {
		return nil, errors.Join(fmt.Errorf("data dir: %w", err), d.lock.Unlock())
	}
	if err := os.Mkdir(d.TempDir(), 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("data dir: %w", err), d.lock.Unlock())
	}
	return d, d.Announce("")
}

// LockFile locks a file, which it makes if necessary, until unlock is called or the process
// ends. Its error matches ErrInUse if another process has the lock.
func LockFile(path string) (unlock func(), err error) {
	lock := flock.New(path, flock.SetPermissions(0o600))
	taken, err := lock.TryLock()
	switch {
	case err != nil:
		return nil, err
	case !taken:
		return nil, fmt.Errorf("%s is %w", path, ErrInUse)
	}
	return func() { _ = lock.Unlock() }, nil
}

// Announce records the process that holds the folder and the address of its API.
func (d *Dir) Announce(url string) error {
	// In a file beside the lock file: on Windows other processes cannot read a
	// locked file.
	return NewFiles(d.path).WriteFile(context.Background(), ownerFile, func(w io.Writer) error {
		return json.NewEncoder(w).Encode(Owner{os.Getpid(), url})
	})
}

// OwnerOf returns what the process that holds the data dir at path has recorded of itself,
// as far as it is known.
func OwnerOf(path string) (o Owner) {
	name := filepath.Join(path, ownerFile)
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return o
	}
	text, err := os.ReadFile(name)
	if err == nil {
		_ = json.Unmarshal(text, &o) // information for people only; a damaged file yields none
	}
	return o
}

// TempDir is the folder of temporary files. Opening the data dir empties it.
func (d *Dir) TempDir() string { return TempDir(d.path) }

// TempDir returns the folder of temporary files in the data dir at path.
func TempDir(path string) string { return filepath.Join(path, "temp") }

// Path returns the path of a file in the folder.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, filepath.FromSlash(name)) }

// Close releases the folder.
func (d *Dir) Close() error {
	_ = os.Remove(d.Path(ownerFile))
	return d.lock.Unlock()
}
