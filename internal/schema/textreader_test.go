package schema_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"gateway/internal/failure"
	"gateway/internal/schema"
)

func utf16Text(text string, big bool) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		high, low := byte(u>>8), byte(u)
		if big {
			b.Write([]byte{high, low})
		} else {
			b.Write([]byte{low, high})
		}
	}
	return b.String()
}

func TestTextReaderDecodes(t *testing.T) {
	long := strings.Repeat("größe,Zürich,€,日本,😀\n", 20_000) // characters over the ends of buffers
	tests := []struct{ name, text, want, note string }{
		{"empty", "", "", ""},
		{"ASCII", "a,b\n1,2\n", "a,b\n1,2\n", ""},
		{"UTF-8", "größe,😀\n", "größe,😀\n", ""},
		{"long UTF-8", long, long, ""},
		{"UTF-8 with a mark", "\ufeffa\n", "\ufeffa\n", ""},
		{"UTF-16, little-endian", utf16Text("größe,😀\n", false), "größe,😀\n", "the file is UTF-16; it was decoded"},
		{"UTF-16, big-endian", utf16Text("größe\n", true), "größe\n", "the file is UTF-16; it was decoded"},
		{"long UTF-16", utf16Text(long, false), long, "the file is UTF-16; it was decoded"},
		{"Windows-1252", "caf\xe9,\x80 5\n", "café,€ 5\n", "2 bytes are not UTF-8; they were read as Windows-1252"},
		{"one byte", "caf\xe9", "café", "1 byte is not UTF-8; it was read as Windows-1252"},
		{"a character that is cut off", "a\xc3", "aÃ", "1 byte is not UTF-8; it was read as Windows-1252"},
		{"both encodings", "Zürich,caf\xe9\n", "Zürich,café\n", "1 byte is not UTF-8; it was read as Windows-1252"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{"whole": strings.NewReader(tt.text), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.text))} {
				text := schema.NewTextReader(r)
				got, err := io.ReadAll(text)
				if err != nil || string(got) != tt.want || text.Note() != tt.note {
					t.Errorf("%s: %.60q, note %q, %v; want %.60q, %q", name, got, text.Note(), err, tt.want, tt.note)
				}
			}
		})
	}
}

func TestTextReaderReturnsTheReadersError(t *testing.T) {
	text := schema.NewTextReader(io.MultiReader(strings.NewReader("a,b\n"), iotest.ErrReader(errBroken)))
	got, err := io.ReadAll(text)
	if string(got) != "a,b\n" || err != errBroken {
		t.Errorf("%q, %v", got, err)
	}
}

// TestTextReaderRefusesBinaryFiles names their kind, although their bytes could be read
// as Windows-1252.
func TestTextReaderRefusesBinaryFiles(t *testing.T) {
	for head, want := range map[string]string{
		"\x1f\x8b\x08\x00": "the file is compressed by gzip; decompress it", "PK\x03\x04": "the file is a workbook of a spreadsheet, or a zip archive; save or unpack it as CSV",
		"\xd0\xcf\x11\xe0": "the file is a workbook of a spreadsheet, or a zip archive; save or unpack it as CSV", "PAR1": "the file is Parquet; write it as CSV",
	} {
		_, err := io.ReadAll(schema.NewTextReader(strings.NewReader(head + strings.Repeat("\x8d,\n", 100))))
		var e *failure.Error
		if !errors.As(err, &e) || e.Kind != failure.Invalid || e.Detail != want {
			t.Errorf("%q: %v, want %s", head, err, want)
		}
	}
}

func TestFilesWithoutAHeader(t *testing.T) {
	s := parse(t, "name: nameless\nid: customer_id\nlabel: {name: column_3, positive: [1], negative: [0]}\n"+
		"features:\n  - {name: column_1, type: integer}\n  - {name: column_2, type: number}\n")
	want := "1 [] {\"column_1\":6,\"column_2\":0.5} 1\n2 [] {\"column_1\":7,\"column_2\":1.5} 0\n"
	if got := summary(t, s, csvOf(t, s, "6,0.5,1\n7,1.5,0\n")); got != want {
		t.Errorf("without a header:\n%s\nwant\n%s", got, want)
	}
	if got := summary(t, s, csvOf(t, s, "column_1,column_2,column_3\n6,0.5,1\n")); got != "2 [] {\"column_1\":6,\"column_2\":0.5} 1\n" {
		t.Errorf("with one:\n%s", got)
	}
}

func TestUniqueNames(t *testing.T) {
	for header, want := range map[string]string{
		"a,b":           "a,b",
		"age,age,age":   "age,age_2,age_3",
		"age,age,age_2": "age,age_3,age_2",
		",a,":           "column_1,a,column_3",
		"column_2,":     "column_2,column_2_2",
	} {
		if got := strings.Join(schema.UniqueNames(strings.Split(header, ",")), ","); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestRepeatedNamesOfASchemaThatHasThem(t *testing.T) {
	s := parse(t, "name: twice\nid: customer_id\nlabel: {name: y, positive: [1], negative: [0]}\n"+
		"features:\n  - {name: age, type: integer}\n  - {name: age_2, type: integer}\n  - {name: column_3, type: integer}\n")
	if got, want := summary(t, s, csvOf(t, s, "age,age,,y\n1,2,3,1\n")), "2 [] {\"age\":1,\"age_2\":2,\"column_3\":3} 1\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
