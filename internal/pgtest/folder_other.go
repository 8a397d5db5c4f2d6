//go:build !linux

package pgtest

import "os"

// newFolder makes a folder for the files of a server.
func newFolder() (folder string, inMemory bool, err error) {
	folder, err = os.MkdirTemp("", "pgtest-")
	return folder, false, err
}
