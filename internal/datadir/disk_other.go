//go:build !(linux || darwin)

package datadir

// Disk returns the free and the total bytes of the folder's disk. ok is false
// where the system does not report them.
func (d *Dir) Disk() (free, size int64, ok bool) { return 0, 0, false }
