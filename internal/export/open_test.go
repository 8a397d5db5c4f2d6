package export

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"gateway/internal/failure"
)

const (
	lineOne = `{"customer_id":{"s":"1"},"age":{"n":"34"}}`
	lineTwo = `{"customer_id":{"s":"2"},"age":{"n":"35"}}`
)

func TestOpenFindsTheExport(t *testing.T) {
	native := writeBank(t, 100).MapFS
	own := fstest.MapFS{} // as copied out of its bucket, under another name
	for name, f := range native {
		own["copy/"+strings.SplitN(name, "/", 5)[4]] = f
	}
	backup := files(map[string]string{
		"b/manifest": `{"name":"DynamoDB-export","version":3,"entries":[{"url":"s3://bucket/2018/p2","mandatory":true},{"url":"s3://bucket/2018/p1","mandatory":true}]}`,
		"b/p1":       lineOne + "\n", "b/p2": lineTwo + "\n", "b/_SUCCESS": "", "b/p3": "not named", "b/manifest.copy": "x",
	})
	for name, test := range map[string]struct {
		fsys   fstest.MapFS
		root   string
		layout Layout
		folder string
		total  int64
	}{
		"native, own folder":       {native, "exports/daily/AWSDynamoDB/01700000000000-a1b2c3d4", Native, "exports/daily/AWSDynamoDB/01700000000000-a1b2c3d4", 100},
		"native, trailing slash":   {native, "exports/daily/", Native, "exports/daily/AWSDynamoDB/01700000000000-a1b2c3d4", 100},
		"native, bucket root":      {native, ".", Native, "exports/daily/AWSDynamoDB/01700000000000-a1b2c3d4", 100},
		"native, empty root":       {native, "", Native, "exports/daily/AWSDynamoDB/01700000000000-a1b2c3d4", 100},
		"native, AWSDynamoDB":      {native, "exports/daily/AWSDynamoDB", Native, "exports/daily/AWSDynamoDB/01700000000000-a1b2c3d4", 100},
		"native, by its summary":   {native, "exports/daily/AWSDynamoDB/01700000000000-a1b2c3d4/manifest-summary.json", Native, "exports/daily/AWSDynamoDB/01700000000000-a1b2c3d4", 100},
		"native, folder renamed":   {own, "copy", Native, "copy", 100},
		"backup with a manifest":   {backup, "b", Backup, "b", -1},
		"backup from above":        {backup, ".", Backup, "b", -1},
		"folder without manifest":  {files(map[string]string{"p1": lineOne, "sub/x": "no", "_marks/manifest": "no", ".crc": "no"}), ".", Loose, ".", -1},
		"a single file":            {files(map[string]string{"d/items.json": lineOne}), "d/items.json", Loose, "d/items.json", -1},
		"a single compressed file": {files(map[string]string{"d/items": zip(lineOne)}), "d/items", Loose, "d/items", -1},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Open(t.Context(), test.fsys, test.root)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if r.Layout() != test.layout || r.Folder() != test.folder || r.Total() != test.total {
				t.Errorf("got %s in %s of %d items; want %s in %s of %d", r.Layout(), r.Folder(), r.Total(), test.layout, test.folder, test.total)
			}
			items, err := itemsOf(t, test.fsys, test.root)
			if err != nil || len(items) == 0 {
				t.Errorf("%d items, %v", len(items), err)
			}
			for _, it := range items {
				if it.Err != nil {
					t.Errorf("%s:%d: %v", it.File, it.Line, it.Err)
				}
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	native := func(t *testing.T) fstest.MapFS { return writeBank(t, 100).MapFS }
	const own = "exports/daily/AWSDynamoDB/01700000000000-a1b2c3d4/"
	edit := func(name, old, new string) func(*testing.T) fstest.MapFS {
		return func(t *testing.T) fstest.MapFS {
			fsys := native(t)
			text := string(fsys[own+name].Data)
			if !strings.Contains(text, old) {
				t.Fatalf("no %q in %s", old, text)
			}
			fsys[own+name] = &fstest.MapFile{Data: []byte(strings.Replace(text, old, new, 1))}
			delete(fsys, own+strings.TrimSuffix(name, ".json")+".md5")
			return fsys
		}
	}
	with := func(content map[string]string) func(*testing.T) fstest.MapFS {
		return func(*testing.T) fstest.MapFS { return files(content) }
	}
	for name, test := range map[string]struct {
		fsys func(*testing.T) fstest.MapFS
		root string
		kind failure.Kind
		want []string
	}{
		"nothing there":          {native, "elsewhere", failure.NotFound, []string{"elsewhere"}},
		"a path that leads out":  {native, "../x", failure.Invalid, []string{"../x"}},
		"an absolute path":       {native, "/etc", failure.Invalid, []string{"/etc"}},
		"an empty folder":        {with(map[string]string{"d/_SUCCESS": ""}), "d", failure.NotFound, []string{"has no export"}},
		"an incremental export":  {edit("manifest-summary.json", "FULL_EXPORT", "INCREMENTAL_EXPORT"), ".", failure.Invalid, []string{"incremental", "manifest-summary.json"}},
		"ION":                    {edit("manifest-summary.json", "DYNAMODB_JSON", "ION"), ".", failure.Invalid, []string{"ION", "DYNAMODB_JSON"}},
		"items that do not add":  {edit("manifest-summary.json", `"itemCount":100`, `"itemCount":101`), ".", failure.Invalid, []string{"100", "101"}},
		"no itemCount":           {edit("manifest-summary.json", `"itemCount":100`, `"itemCount":null`), ".", failure.Invalid, []string{"itemCount"}},
		"summary that is broken": {edit("manifest-summary.json", `{`, `[`), ".", failure.Invalid, []string{"manifest-summary.json"}},
		"key outside":            {edit("manifest-files.json", "data/", "../../../data/"), ".", failure.Invalid, []string{"line 1", "does not lie in an export"}},
		"key elsewhere":          {edit("manifest-files.json", "AWSDynamoDB", "NotDynamoDB"), ".", failure.Invalid, []string{"does not lie in an export"}},
		"no MD5":                 {edit("manifest-files.json", `"md5Checksum":"`, `"md5Checksum":"!`), ".", failure.Invalid, []string{"md5Checksum"}},
		"negative itemCount":     {edit("manifest-files.json", `"itemCount":40`, `"itemCount":-40`), ".", failure.Invalid, []string{"itemCount"}},
		"file line that is none": {edit("manifest-files.json", `{`, `{{`), ".", failure.Invalid, []string{"manifest-files.json", "line 1"}},
		"file named twice": {func(t *testing.T) fstest.MapFS {
			fsys := native(t)
			delete(fsys, own+"manifest-files.md5")
			text := fsys[own+"manifest-files.json"].Data
			fsys[own+"manifest-files.json"] = &fstest.MapFile{Data: append(append([]byte{}, text...), text...)}
			return fsys
		}, ".", failure.Invalid, []string{"named twice"}},
		"summary against its MD5": {func(t *testing.T) fstest.MapFS {
			fsys := native(t)
			fsys[own+"manifest-summary.md5"] = &fstest.MapFile{Data: []byte("AAAAAAAAAAAAAAAAAAAAAA==")}
			return fsys
		}, ".", failure.Invalid, []string{"manifest-summary.json", "manifest-summary.md5"}},
		"files manifest against its checksum": {func(t *testing.T) fstest.MapFS {
			fsys := native(t)
			fsys[own+"manifest-files.checksum"] = &fstest.MapFile{Data: []byte("AAAAAAAAAAAAAAAAAAAAAA==")}
			return fsys
		}, ".", failure.Invalid, []string{"manifest-files.json", "manifest-files.checksum"}},
		"files manifest missing": {func(t *testing.T) fstest.MapFS {
			fsys := native(t)
			delete(fsys, own+"manifest-files.json")
			return fsys
		}, ".", failure.Invalid, []string{"manifest-files.json is missing"}},
		"not complete": {func(t *testing.T) fstest.MapFS {
			fsys := native(t)
			delete(fsys, own+"manifest-summary.json")
			return fsys
		}, ".", failure.Conflict, []string{"incomplete", "01700000000000-a1b2c3d4"}},
		"several": {func(t *testing.T) fstest.MapFS {
			fsys := native(t)
			maps.Copy(fsys, files(map[string]string{"exports/daily/AWSDynamoDB/01800000000000-ffffffff/_started": ""}))
			return fsys
		}, ".", failure.Invalid, []string{"several", "01700000000000-a1b2c3d4", "01800000000000-ffffffff"}},
		"backup manifest that is none": {with(map[string]string{"manifest": "hello"}), ".", failure.Invalid, []string{"manifest"}},
		"backup without entries":       {with(map[string]string{"manifest": `{"name":"x"}`}), ".", failure.Invalid, []string{"entries"}},
		"backup naming no file":        {with(map[string]string{"manifest": `{"entries":[{"url":"s3://b/.."}]}`}), ".", failure.Invalid, []string{"entry 1"}},
		"backup naming a file twice":   {with(map[string]string{"manifest": `{"entries":[{"url":"s3://b/x"},{"url":"s3://c/x"}]}`}), ".", failure.Invalid, []string{"second time"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), test.fsys(t), test.root)
			var e *failure.Error
			if !errors.As(err, &e) || e.Kind != test.kind {
				t.Fatalf("got error %v, want kind %d", err, test.kind)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestOpenStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, writeBank(t, 10).MapFS, "."); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestWithinExport(t *testing.T) {
	for key, want := range map[string]string{
		"AWSDynamoDB/017-a/data/x.json.gz":                 "data/x.json.gz",
		"2020/AWSDynamoDB/017-a/data/x.json.gz":            "data/x.json.gz",
		"AWSDynamoDB/old/AWSDynamoDB/017-a/data/x.json.gz": "data/x.json.gz",
		"AWSDynamoDB/data/x.json.gz":                       "x.json.gz",
		"AWSDynamoDB/017-a/":                               "", "AWSDynamoDB/017-a": "", "data/x": "", "": "",
		"NotAWSDynamoDB/a/x": "", "AWSDynamoDB/a/../x": "", "AWSDynamoDB/a//x": "",
	} {
		got, ok := withinExport(key)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: got %q, %v", key, got, ok)
		}
	}
}

func TestSearchIsBounded(t *testing.T) {
	fsys := fstest.MapFS{}
	for i := range maxFolders + 1 {
		fsys[strings.Repeat("d", i%50+1)+string(rune('a'+i/50))+"/x"] = &fstest.MapFile{}
	}
	if _, err := Open(t.Context(), fsys, "."); err == nil || !strings.Contains(err.Error(), "folders") {
		t.Errorf("got %v", err)
	}
}

func TestReaderOnDisk(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a": lineOne + "\n", "b": zip(lineTwo)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a", filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	r, err := Open(t.Context(), os.DirFS(dir), ".")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		it, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		id, _ := it.Attribute("customer_id")
		got = append(got, it.File+id.Text)
	}
	if diff := cmp.Diff([]string{"a1", "b2", "link1"}, got); diff != "" {
		t.Error(diff)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// failingFS hands out files that fail after some bytes, as a connection does.
type failingFS struct {
	fs.FS
	after int64
}

type failingFile struct {
	fs.File
	r io.Reader
}

var errConnection = errors.New("connection reset")

func (f failingFS) Open(name string) (fs.File, error) {
	file, err := f.FS.Open(name)
	if err != nil || !strings.Contains(name, "data/") {
		return file, err
	}
	return failingFile{file, io.MultiReader(io.LimitReader(file, f.after), brokenReader{})}, nil
}

func (f failingFile) Read(p []byte) (int, error) { return f.r.Read(p) }

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errConnection }

func TestAStoreThatFailsIsNotADamagedFile(t *testing.T) {
	for _, after := range []int64{0, 1, 2, 5, 100, 1000} {
		r, err := Open(t.Context(), failingFS{writeBank(t, 100).MapFS, after}, ".")
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = r.Next()
		}
		var e *failure.Error
		if !errors.Is(err, errConnection) || errors.As(err, &e) || !strings.Contains(err.Error(), ".json.gz") {
			t.Errorf("after %d bytes: %v", after, err)
		}
		if _, again := r.Next(); again != err {
			t.Errorf("the next call gave %v", again)
		}
		r.Close()
	}
}
