package secrets_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gateway/internal/secrets"
	"gateway/internal/secrets/secretstest"
)

// replace puts a file in the place of another, as a careful operator does.
func replace(t *testing.T, path, text string) {
	t.Helper()
	write(t, path+".new", text)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreASource(t *testing.T) {
	secretstest.TestSource(t, func(t *testing.T) secretstest.Kit {
		path := filepath.Join(t.TempDir(), "secret")
		source := secrets.NewFiles()
		return secretstest.Kit{
			Source: source, ID: "file:" + path, Missing: "file:" + path + ".nosuch",
			Put: func(value string) {
				replace(t, path, value)
				// A file's history is what was read of it.
				if _, err := source.Get(t.Context(), "file:"+path, secrets.Current); err != nil {
					t.Fatal(err)
				}
			},
			Remove: func() {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

func TestFilesOfOneMomentAreTwoVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	source, moment := secrets.NewFiles(), time.Now()
	ids := map[string]bool{}
	for _, value := range []string{"one", "two", "three"} {
		replace(t, path, value)
		if err := os.Chtimes(path, moment, moment); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			v, err := source.Get(t.Context(), "file:"+path, secrets.Current)
			if err != nil || v.Value.Reveal() != value {
				t.Fatalf("got version %q (%v), want that with %q", v.ID, err, value)
			}
			ids[v.ID] = true
		}
	}
	if len(ids) != 3 {
		t.Errorf("the versions are %v, want three", ids)
	}
}

func TestFilesThatCannotBeASecretAreRefused(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	write(t, large, strings.Repeat("leak", 300_000))
	for id, want := range map[string]error{
		"file:" + dir: secrets.ErrRefused, "file:" + large: secrets.ErrRefused,
		"file:": secrets.ErrNotFound, large: secrets.ErrNotFound, "file:" + dir + "/nosuch": secrets.ErrNotFound,
	} {
		_, err := secrets.NewFiles().Get(t.Context(), id, secrets.Current)
		if !errors.Is(err, want) || strings.Contains(err.Error(), "leakleak") {
			t.Errorf("%s: got %v, want %v", id, err, want)
		}
	}
}
