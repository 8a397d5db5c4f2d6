//go:build linux || darwin

package datadir

import "syscall"

// Disk returns how many bytes of the folder's disk this process may still write,
// and its size. ok is false where the system does not report them.
func (d *Dir) Disk() (free, size int64, ok bool) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(d.path, &fs); err != nil {
		return 0, 0, false
	}
	block := int64(fs.Bsize)
	return int64(fs.Bavail) * block, int64(fs.Blocks) * block, true
}
