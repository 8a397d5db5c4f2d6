package pgtest

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

const (
	memory      = "/dev/shm" // where Linux has a file system in memory
	tmpfsMagic  = 0x01021994 // statfs(2)
	memoryBytes = 2 << 30    // what the servers of several test binaries may need together
	lockName    = "lock"
)

// newFolder makes a folder for the files of a server. They are in memory where there is
// room: to make a database means to make some 300 files.
func newFolder() (folder string, inMemory bool, err error) {
	var fs syscall.Statfs_t
	if syscall.Statfs(memory, &fs) != nil || fs.Type != tmpfsMagic || fs.Bavail*uint64(fs.Bsize) < memoryBytes {
		folder, err = os.MkdirTemp("", "pgtest-")
		return folder, false, err
	}
	removeLeft(memory)
	folder, err = os.MkdirTemp(memory, "pgtest-")
	if err != nil {
		return "", false, err
	}
	if err := lock(folder); err != nil {
		return "", false, errors.Join(err, os.RemoveAll(folder))
	}
	return folder, true, nil
}

// lock marks a folder as in use until this process ends.
func lock(folder string) error {
	fd, err := syscall.Open(filepath.Join(folder, lockName), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	return syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
}

// removeLeft removes the folders of test binaries that were killed, since memory is not
// freed otherwise. A folder without a lock is being made.
func removeLeft(parent string) {
	locks, _ := filepath.Glob(filepath.Join(parent, "pgtest-*", lockName))
	for _, path := range locks {
		fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
		if err != nil {
			continue // another user's, or just removed
		}
		// The lock of a process that has made the file and not locked it yet is taken
		// before its folder has anything in it but the file.
		if entries, err := os.ReadDir(filepath.Dir(path)); err == nil && len(entries) > 1 &&
			syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(filepath.Dir(path)) // what remains, the next process removes
		}
		_ = syscall.Close(fd)
	}
}
