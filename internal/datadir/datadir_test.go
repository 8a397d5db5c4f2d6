package datadir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestADataDirHasOneOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	first, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v (%v), want 0700", info.Mode().Perm(), err)
	}
	if err := first.Announce("http://127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	_, err = Open(path)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) || !strings.Contains(err.Error(), "http://127.0.0.1:1") {
		t.Errorf("the second owner got %v, want: in use, by which process, and where it serves", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// A process that was killed leaves its temporary files.
	left := filepath.Join(first.TempDir(), "gateway-rows-1")
	if err := os.WriteFile(left, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := Open(path)
	if err != nil {
		t.Fatalf("after the first let go: %v", err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("a temporary file of the first owner is still there: %v", err)
	}
	if info, err := os.Stat(second.TempDir()); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of temporary files: %v, %v", info, err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("/dev/null/x"); err == nil {
		t.Error("a folder that cannot be made was opened")
	}
}

// TestNothingIsWrittenThroughALink puts links where the data dir's files belong.
func TestNothingIsWrittenThroughALink(t *testing.T) {
	for name, link := range map[string]func(string, string) error{"symbolic": os.Symlink, "hard": os.Link} {
		t.Run(name, func(t *testing.T) {
			dir, target := t.TempDir(), filepath.Join(t.TempDir(), "precious")
			if err := os.WriteFile(target, []byte("precious"), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{"gateway.owner", "gateway.owner.part", "model.json", "model.json.part"} {
				if err := link(target, filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
			}
			data, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
				t.Errorf("the second owner got %v, want: in use, by which process", err)
			}
			err = NewFiles(dir).WriteFile(t.Context(), "model.json", func(w io.Writer) error {
				_, err := io.WriteString(w, "a model")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := data.Close(); err != nil {
				t.Fatal(err)
			}
			if text, err := os.ReadFile(target); err != nil || string(text) != "precious" {
				t.Errorf("the target of the links has %q (%v)", text, err)
			}
			if info, err := os.Lstat(filepath.Join(dir, "model.json")); err != nil || info.Mode() != 0o600 {
				t.Errorf("the file that took a link's place has mode %v (%v), want -rw-------", info.Mode(), err)
			}
		})
	}
}

func TestAFileAppearsWholeOrNotAtAll(t *testing.T) {
	root := t.TempDir()
	files := NewFiles(root)
	write := func(text string, fail error) error {
		return files.WriteFile(t.Context(), "a/b.txt", func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return errors.Join(err, fail)
		})
	}
	look := func(want string) {
		t.Helper()
		got, err := fs.ReadFile(files.FS(t.Context()), "a/b.txt")
		if err != nil || string(got) != want {
			t.Errorf("the file holds %q (%v), want %q", got, err, want)
		}
	}
	if err := write("one", nil); err != nil {
		t.Fatal(err)
	}
	look("one")
	broken := errors.New("broken off")
	if err := write("half", broken); !errors.Is(err, broken) || !strings.Contains(err.Error(), "a/b.txt") {
		t.Errorf("got %v, want the writer's error with the file's name", err)
	}
	look("one")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := files.WriteFile(ctx, "a/b.txt", func(w io.Writer) error {
		_, err := w.Write(bytes.Repeat([]byte("x"), 1<<20))
		return err
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled write gave %v", err)
	}
	look("one")
	// A process that died left this; the next attempt must not mind.
	if err := os.WriteFile(filepath.Join(root, "a", "b.txt.part"), []byte("left over"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write("two", nil); err != nil {
		t.Fatal(err)
	}
	look("two")
	entries, err := os.ReadDir(filepath.Join(root, "a"))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files are left (%v), want the one", len(entries), err)
	}
	for _, name := range []string{"../x", "/x", "a/../../x", ""} {
		if err := files.WriteFile(t.Context(), name, func(io.Writer) error { return nil }); err == nil {
			t.Errorf("the name %q was accepted", name)
		}
		if err := files.RemoveAll(t.Context(), name); err == nil {
			t.Errorf("removing %q was accepted", name)
		}
	}
	if err := errors.Join(files.RemoveAll(t.Context(), "a"), files.RemoveAll(t.Context(), "a")); err != nil {
		t.Errorf("removing a folder twice: %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "a")); !os.IsNotExist(err) {
		t.Error("a removed folder is still there")
	}
}
