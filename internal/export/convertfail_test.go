package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"gateway/internal/failure"
	"gateway/internal/schema"
)

func TestNothingIsWrittenFromADamagedExport(t *testing.T) {
	to := writeBank(t, 500)
	last := to.order[len(to.order)-5] // before the manifests and their sums
	if !strings.Contains(last, "/data/") {
		t.Fatal(last)
	}
	to.MapFS[last].Data[50] ^= 1
	r, err := Open(t.Context(), to.MapFS, ".")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	report, err := Convert(t.Context(), schema.Bank(), r, Outputs{All: &out, Train: &out, Holdout: &out}, Options{Memory: 1, TempDir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), last) || out.Len() > 0 || report.Items < 400 {
		t.Errorf("%d bytes written after %d items; error %v", out.Len(), report.Items, err)
	}
}

// eofFS fails as a connection may that the other side closed: with an error
// that wraps io.EOF.
type eofFS struct {
	fs.FS
	within bool // fail while reading, not when opening
}

type eofFile struct{ fs.File }

func (eofFile) Read([]byte) (int, error) { return 0, fmt.Errorf("GET: %w", io.EOF) }

func (f eofFS) Open(name string) (fs.File, error) {
	file, err := f.FS.Open(name)
	switch {
	case err != nil || !strings.Contains(name, "data/"):
		return file, err
	case f.within:
		return eofFile{file}, nil
	}
	file.Close()
	return nil, fmt.Errorf("GET: %w", io.EOF)
}

func TestAConnectionThatClosesIsNotTheEndOfTheExport(t *testing.T) {
	for _, within := range []bool{false, true} {
		r, err := Open(t.Context(), eofFS{writeBank(t, 100).MapFS, within}, ".")
		if err != nil {
			t.Fatal(err)
		}
		_, err = Convert(t.Context(), schema.Bank(), r, Outputs{}, Options{TempDir: t.TempDir()})
		var e *failure.Error
		if err == nil || errors.As(err, &e) {
			t.Errorf("within %v: got %v", within, err)
		}
		r.Close()
	}
}

func TestConvertStopsWithItsContext(t *testing.T) {
	r, err := Open(t.Context(), writeBank(t, 10).MapFS, ".")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Convert(ctx, schema.Bank(), r, Outputs{}, Options{TempDir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestOutputsThatFailAreErrors(t *testing.T) {
	to := writeBank(t, 500)
	for name, out := range map[string]Outputs{"all": {All: fullDisk{}}, "train": {Train: fullDisk{}}, "holdout": {Holdout: fullDisk{}}} {
		r, err := Open(t.Context(), to.MapFS, ".")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Convert(t.Context(), schema.Bank(), r, out, Options{TempDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "no space") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
