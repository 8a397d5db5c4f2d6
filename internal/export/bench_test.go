package export

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/fstest"

	"gateway/internal/schema"
)

// BenchmarkConvert's MB/s are of uncompressed JSON, in each spelling.
func BenchmarkConvert(b *testing.B) {
	var native bytes.Buffer
	const rows = 20_000
	schema := schema.Bank()
	for _, c := range bankCustomers(rows) {
		line, err := appendItem(nil, schema, c)
		if err != nil {
			b.Fatal(err)
		}
		native.Write(line)
	}
	text := native.String()
	backup := small.Replace(strings.ReplaceAll(strings.ReplaceAll(text, `{"Item":`, ``), `}}}`, `}}`))
	for _, bench := range []struct {
		name, stored, text string
		memory             int64
	}{
		{"native", text, text, 0},
		{"native-gzip", zip(text), text, 0},
		{"backup", backup, backup, 0},
		{"spilled", text, text, 1 << 20},
	} {
		b.Run(bench.name, func(b *testing.B) {
			fsys := fstest.MapFS{"f": &fstest.MapFile{Data: []byte(bench.stored)}}
			b.SetBytes(int64(len(bench.text)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := Open(b.Context(), fsys, "f")
				if err != nil {
					b.Fatal(err)
				}
				report, err := Convert(b.Context(), schema, r, Outputs{Train: io.Discard, Holdout: io.Discard}, Options{Memory: bench.memory, TempDir: b.TempDir()})
				if err != nil || report.Rows != rows-rows/10 {
					b.Fatalf("%d rows, %v", report.Rows, err)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "items/s")
		})
	}
}
