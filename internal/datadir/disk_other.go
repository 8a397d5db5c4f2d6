//go:build !(linux || darwin)

package datadir

// Disk returns how many bytes of the folder's disk this process may still
// write, and how many it has in all. ok is false where the system does not tell.
func (d *Dir) Disk() (free, size int64, ok bool) { return 0, 0, false }
