//go:build unix

package secrets_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gateway/internal/secrets"
)

func TestATokenIsMadeOnceAndOnlyItsOwnerCanReadIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin-token")
	if made, err := secrets.MakeFile(path, secrets.Generate); err != nil || !made {
		t.Fatalf("got made = %v (%v), want a new token", made, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v (%v), want 0600", info.Mode().Perm(), err)
	}
	first := read(t, path)
	if len(first) < 20 {
		t.Errorf("the token has %d bytes", len(first))
	}
	if made, err := secrets.MakeFile(path, secrets.Generate); err != nil || made {
		t.Errorf("the second start has made = %v (%v), want the first one's token", made, err)
	}
	if again := read(t, path); again != first {
		t.Error("the second start changed the token")
	}
}

func TestAnEmptyTokenFileIsMadeAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin-token")
	write(t, path, "")
	write(t, path+".part", "torn")
	if made, err := secrets.MakeFile(path, secrets.Generate); err != nil || !made {
		t.Fatalf("got made = %v (%v), want a new token", made, err)
	}
	if text := read(t, path); len(text) < 20 {
		t.Errorf("got %d bytes, want a token", len(text))
	}
}

func TestATokenIsNotWrittenThroughALink(t *testing.T) {
	dir := t.TempDir()
	path, victim := filepath.Join(dir, "admin-token"), filepath.Join(dir, "victim")
	write(t, victim, "keep me")
	if err := os.Symlink(victim, path+".part"); err != nil {
		t.Fatal(err)
	}
	if made, err := secrets.MakeFile(path, secrets.Generate); err != nil || !made {
		t.Fatalf("got made = %v (%v), want a new token", made, err)
	}
	if got := read(t, victim); got != "keep me" {
		t.Errorf("the file that the link names has %q", got)
	}
}

func TestATokenFileThatOthersCanReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin-token")
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604} {
		write(t, path, "leak\n")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := secrets.MakeFile(path, secrets.Generate)
		if err == nil || !strings.Contains(err.Error(), "0600") || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "leak") {
			t.Errorf("mode %o: got %v, want an error with the file and the right mode", mode, err)
		}
		if !secrets.ReadableByOthers(secrets.FilePrefix + path) {
			t.Errorf("mode %o does not count as readable by others", mode)
		}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if secrets.ReadableByOthers(secrets.FilePrefix + path) {
		t.Error("mode 600 counts as readable by others")
	}
}

// TestAFIFOIsNoSecret would wait for a writer if the file were opened.
func TestAFIFOIsNoSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin-token")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.MakeFile(path, secrets.Generate); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v, want an error", err)
	}
	_, err := secrets.NewFiles().Get(context.Background(), secrets.FilePrefix+path, secrets.Current)
	if !errors.Is(err, secrets.ErrRefused) || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
