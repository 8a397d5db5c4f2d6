package datadir

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
)

// Files implements modelswap.Files in a folder.
type Files struct{ root string }

// NewFiles keeps files below root.
func NewFiles(root string) *Files { return &Files{root} }

// FS implements modelswap.Files.
func (f *Files) FS(context.Context) fs.FS { return os.DirFS(f.root) }

// WriteFile implements modelswap.Files with ReplaceFile. It makes the folders above
// the file.
func (f *Files) WriteFile(ctx context.Context, name string, write func(io.Writer) error) error {
	if !fs.ValidPath(name) {
		return fmt.Errorf("file name %q is not valid", name)
	}
	target := filepath.Join(f.root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	err := ReplaceFile(target, func(w io.Writer) error {
		buffered := bufio.NewWriterSize(&contextWriter{ctx, w}, 1<<16)
		if err := write(buffered); err != nil {
			return err
		}
		return buffered.Flush()
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// RemoveAll implements modelswap.Files. It also removes parent folders that
// become empty.
func (f *Files) RemoveAll(_ context.Context, name string) error {
	if !fs.ValidPath(name) || name == "." {
		return fmt.Errorf("folder name %q is not valid", name)
	}
	if err := os.RemoveAll(filepath.Join(f.root, filepath.FromSlash(name))); err != nil {
		return err
	}
	for above := path.Dir(name); above != "."; above = path.Dir(above) {
		_ = os.Remove(filepath.Join(f.root, filepath.FromSlash(above))) // fails if the folder is not empty
	}
	return nil
}

// ReplaceFile makes a file, readable by its owner alone, or replaces the one that is
// there. After an error or a power failure the file is the old one or the whole new
// one. ReplaceFile writes to a temporary file beside the target, which is the target's
// name with ".part", syncs it, and renames it. A process that dies leaves at most the
// temporary file, which the next call for the same target replaces. A link is replaced,
// not followed.
func ReplaceFile(target string, write func(io.Writer) error) (err error) {
	part := target + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(part)
		}
	}()
	if err := write(file); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(part, target); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(target))
}

// SyncDir flushes a directory, so that new and renamed files in it survive a
// power failure. Windows cannot flush a directory and needs no flush.
func SyncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// contextWriter stops writing when its context ends.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c *contextWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}
