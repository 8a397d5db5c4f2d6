package export

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"gateway/internal/failure"
)

func TestDataFiles(t *testing.T) {
	for name, test := range map[string]struct {
		text  string
		items int
		want  string // in the error; empty: none
	}{
		"no bytes at all":             {"", 0, ""},
		"compressed nothing":          {zip(""), 0, ""},
		"no end of the last line":     {lineOne, 1, ""},
		"blank lines and CRLF":        {"\r\n" + lineOne + "\r\n\n \n" + lineTwo + "\r\n", 2, ""},
		"byte order mark":             {"\ufeff" + lineOne, 1, ""},
		"gzip of several members":     {zip(lineOne+"\n") + zip("") + zip(lineTwo+"\n"), 2, ""},
		"a line across gzip members":  {zip(lineOne[:10]) + zip(lineOne[10:]+"\n"), 1, ""},
		"a line of 1 MiB":             {`{"a":{"s":"` + strings.Repeat("x", 1<<20) + `"}}`, 1, ""},
		"a line that is too long":     {lineOne + "\n" + strings.Repeat("x", maxLine+1), 1, "file, line 2: longer than 8388608 bytes"},
		"a too long line, compressed": {zip(strings.Repeat("x", 3*maxLine)), 0, "file, line 1: longer"},
		"gzip cut short":              {zip(lineOne)[:30], 0, "file: the gzip data is cut short"},
		"gzip's end cut off":          {strings.TrimSuffix(zip(lineOne), zip(lineOne)[len(zip(lineOne))-4:]), 1, "file: the gzip data is cut short"},
		"only the magic bytes":        {"\x1f\x8b", 0, "file: the gzip data is cut short"},
		"gzip and then noise":         {zip(lineOne) + "noise after the end", 1, "file: the gzip data is damaged"},
		"gzip with a flipped bit":     {flip(zip(lineOne)), 0, "file: the gzip data is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			items, err := itemsOf(t, files(map[string]string{"file": test.text}), "file")
			if test.want == "" && err != nil {
				t.Fatal(err)
			}
			var e *failure.Error
			if test.want != "" && (!errors.As(err, &e) || e.Kind != failure.Invalid || !strings.Contains(err.Error(), test.want)) {
				t.Fatalf("error %v does not say %q", err, test.want)
			}
			if test.want == "" && len(items) != test.items {
				t.Errorf("%d items, want %d", len(items), test.items)
			}
			for _, it := range items {
				if it.Err != nil && test.want == "" {
					t.Errorf("line %d: %v", it.Line, it.Err)
				}
			}
		})
	}
}

func flip(s string) string {
	b := []byte(s)
	b[len(b)-6] ^= 1 // of the CRC
	return string(b)
}

func TestLinesAreCountedAsAnEditorDoes(t *testing.T) {
	items, err := itemsOf(t, files(map[string]string{"f": "\n" + lineOne + "\n\nbroken\n" + lineTwo}), "f")
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, it := range items {
		lines = append(lines, it.Line)
	}
	if len(lines) != 3 || lines[0] != 2 || lines[1] != 4 || lines[2] != 5 || items[1].Err == nil {
		t.Errorf("lines %v, broken: %v", lines, items[1].Err)
	}
}

func TestManifestsAreHeldAgainstTheFiles(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(fsys fstest.MapFS, data string)
		want  string
	}{
		"missing": {func(fsys fstest.MapFS, data string) { delete(fsys, data) }, "does not exist"},
		"another file": {func(fsys fstest.MapFS, data string) {
			fsys[data] = &fstest.MapFile{Data: []byte(zip(lineOne))}
		}, "MD5"},
		"cut short": {func(fsys fstest.MapFS, data string) {
			fsys[data] = &fstest.MapFile{Data: fsys[data].Data[:200]}
		}, "MD5"},
		"emptied": {func(fsys fstest.MapFS, data string) { fsys[data] = &fstest.MapFile{} }, "MD5"},
		"appended to": {func(fsys fstest.MapFS, data string) {
			fsys[data] = &fstest.MapFile{Data: append(append([]byte{}, fsys[data].Data...), 0)}
		}, "MD5"},
		"other items than promised": {func(fsys fstest.MapFS, data string) {
			const own = "exports/daily/AWSDynamoDB/01700000000000-a1b2c3d4/manifest-files"
			text := strings.Replace(string(fsys[own+".json"].Data), `"itemCount":40`, `"itemCount":41`, 1)
			text = strings.Replace(text, `"itemCount":20`, `"itemCount":19`, 1)
			fsys[own+".json"] = &fstest.MapFile{Data: []byte(text)}
			delete(fsys, own+".md5")
		}, "40 items; the manifest has 41"},
	} {
		t.Run(name, func(t *testing.T) {
			to := writeBank(t, 100)
			data := to.order[1] // the first data file, after _started
			test.spoil(to.MapFS, data)
			_, err := itemsOf(t, to.MapFS, ".")
			var e *failure.Error
			if !errors.As(err, &e) || e.Kind != failure.Invalid {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), data) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q names not %q or says not %q", err, data, test.want)
			}
		})
	}
}

func TestFilesThatNoManifestNamesAreNotRead(t *testing.T) {
	to := writeBank(t, 50)
	to.MapFS["exports/daily/AWSDynamoDB/01700000000000-a1b2c3d4/data/stray.json.gz"] = &fstest.MapFile{Data: []byte(zip("stray"))}
	items, err := itemsOf(t, to.MapFS, ".")
	if err != nil || len(items) != 50 {
		t.Errorf("%d items, %v", len(items), err)
	}
}

func TestABackupsMissingFileIsNamed(t *testing.T) {
	_, err := itemsOf(t, files(map[string]string{
		"b/manifest": `{"entries":[{"url":"s3://x/here"},{"url":"s3://x/gone"}]}`, "b/here": lineOne,
	}), "b")
	if err == nil || !strings.Contains(err.Error(), "b/gone") {
		t.Errorf("got %v", err)
	}
}
