package disktest

import (
	"fmt"
	"syscall"
	"testing"
)

// New mounts a file system of a size in bytes and returns its folder. It is
// removed when the test ends. Only root may mount; the test is skipped where
// that is refused.
func New(t testing.TB, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("a full disk needs a file system of its own, which only root may mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}
