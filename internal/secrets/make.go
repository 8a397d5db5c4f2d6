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

// MakeFile writes a generated secret to a file that its owner alone can read, unless the
// file exists. made reports whether it did. An empty file, which a power failure can leave,
// counts as missing. A file that other users can read, or that is not a regular file, is an
// error.
//
// There must be no concurrent call for the same file.
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
		return false, fmt.Errorf("%s can be read by other users (mode %04o): change its mode to 0600, and replace the secret, which they may have read",
			path, info.Mode().Perm())
	}
	return false, nil
}

// ReadableByOthers reports whether users other than the owner can read the file of a secret
// with this id.
func ReadableByOthers(id string) bool {
	info, err := os.Stat(strings.TrimPrefix(id, FilePrefix))
	return err == nil && readableByOthers(info)
}

// readableByOthers reports whether the mode of a file lets users other than the owner read
// it. It returns false on Windows, where the mode does not have that information.
func readableByOthers(info fs.FileInfo) bool {
	return runtime.GOOS != "windows" && info.Mode().Perm()&0o044 != 0
}
