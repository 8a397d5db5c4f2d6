package secrets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"gateway/internal/datadir"
)

// MakeFile makes a file with a secret of its own for this process, readable by
// its owner alone, unless the file is there already. made tells whether it did.
// An empty file, which a power cut can leave, counts as missing. A file that
// others can read, or that is not a regular file, is an error.
//
// The caller must be the only one to make the file.
func MakeFile(path string, generate func() Secret) (made bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().IsRegular() && info.Size() == 0:
		return true, datadir.ReplaceFile(path, func(w io.Writer) error {
			_, err := io.WriteString(w, generate().Reveal()+"\n")
			return err
		})
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("%s is not a regular file", path)
	case readableByOthers(info):
		return false, fmt.Errorf("%s can be read by other users (mode %04o): change its mode to 0600, and replace what they may have read",
			path, info.Mode().Perm())
	}
	return false, nil
}

// ReadableByOthers reports whether users besides the owner can read a secret's
// file, given its id.
func ReadableByOthers(id string) bool {
	info, err := os.Stat(strings.TrimPrefix(id, FilePrefix))
	return err == nil && readableByOthers(info)
}

// readableByOthers reports whether users besides the owner can read a file, as
// far as its mode tells. On Windows the mode tells nothing.
func readableByOthers(info fs.FileInfo) bool {
	return runtime.GOOS != "windows" && info.Mode().Perm()&0o044 != 0
}
