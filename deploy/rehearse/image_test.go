package rehearse

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// files is the file system of an image.
type files struct {
	root      string
	contained bool // run as the image's user, with a read-only root: needs root
}

func (f *files) String() string {
	if f.contained {
		return "from the image's read-only file system as user 65532"
	}
	return "with the image's binary, but without its file system and user: that needs root"
}

const user = 65532 // of the image

type descriptor struct {
	Digest   string
	Platform struct{ OS, Architecture string }
}

// unpack writes the files of an OCI layout for this machine into a directory.
func unpack(t *testing.T, layout string) *files {
	t.Helper()
	f := &files{root: t.TempDir()}
	if os.Geteuid() == 0 {
		f.contained = exec.CommandContext(t.Context(), "unshare", "--mount", "true").Run() == nil
	}
	for _, layer := range layersOf(t, layout) {
		file, err := os.Open(blob(layout, layer))
		if err != nil {
			t.Fatal(err)
		}
		if err := extract(file, f); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	return f
}

// layersOf follows a layout's index to the layers of this machine's image.
func layersOf(t *testing.T, layout string) []descriptor {
	t.Helper()
	name := filepath.Join(layout, "index.json")
	for range 3 { // the layout's index, that of the platforms, the manifest
		var document struct{ Manifests, Layers []descriptor }
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		if len(document.Layers) > 0 {
			return document.Layers
		}
		name = ""
		for _, d := range document.Manifests {
			if d.Platform.OS == "linux" && d.Platform.Architecture == runtime.GOARCH || d.Platform.OS == "" {
				name = blob(layout, d)
				break
			}
		}
	}
	t.Fatalf("%s has no image for %s", layout, runtime.GOARCH)
	return nil
}

func blob(layout string, d descriptor) string {
	return filepath.Join(layout, "blobs", strings.Replace(d.Digest, ":", "/", 1))
}

func extract(layer io.Reader, f *files) error {
	text, err := gzip.NewReader(layer)
	if err != nil {
		return err
	}
	entries := tar.NewReader(text)
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := extractEntry(header, entries, f); err != nil {
			return err
		}
	}
}

func extractEntry(header *tar.Header, contents io.Reader, f *files) error {
	target := filepath.Join(f.root, filepath.FromSlash(header.Name))
	if header.Typeflag == tar.TypeDir {
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
	} else {
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		text, err := io.ReadAll(contents)
		if err != nil {
			return err
		}
		if err := os.WriteFile(target, text, 0o600); err != nil {
			return err
		}
	}
	if f.contained {
		if err := os.Chown(target, header.Uid, header.Gid); err != nil {
			return err
		}
	}
	return os.Chmod(target, header.FileInfo().Mode().Perm())
}
