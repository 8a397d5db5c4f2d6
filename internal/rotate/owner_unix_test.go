//go:build unix

package rotate

import (
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// An administrator who rotates a file of the gateway's user must not take it away.
func TestAFileKeepsItsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to another user")
	}
	const user, group = 12345, 23456
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, []byte(`{"keys": ["a-key"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, user, group); err != nil {
		t.Fatal(err)
	}
	r := New(Files{}, Options{Manual: true}, slog.New(slog.DiscardHandler))
	for _, step := range Steps() {
		if err := r.Do(t.Context(), Request{Step: step, Secret: "file:" + path, Version: Version{Token: "t1"}}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || owner.Uid != user || owner.Gid != group || info.Mode().Perm() != 0o600 {
		t.Errorf("the file belongs to %d:%d with mode %v, want %d:%d and 0600", owner.Uid, owner.Gid, info.Mode(), user, group)
	}
}
