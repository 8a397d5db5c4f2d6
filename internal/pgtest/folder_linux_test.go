package pgtest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A test binary that is killed leaves its folder without a lock.
func TestFoldersThatWereLeftAreRemoved(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	folder := func(name string, files ...string) string {
		path := filepath.Join(parent, name)
		if err := os.MkdirAll(filepath.Join(path, "data"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if err := os.WriteFile(filepath.Join(path, file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	left, used, other := folder("pgtest-1", lockName), folder("pgtest-2"), folder("another", lockName)
	if err := lock(used); err != nil {
		t.Fatal(err)
	}
	removeLeft(parent)
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder that was left: got %v, want none", err)
	}
	for _, path := range []string{used, other} {
		if _, err := os.Stat(filepath.Join(path, "data")); err != nil {
			t.Error(err)
		}
	}
}
