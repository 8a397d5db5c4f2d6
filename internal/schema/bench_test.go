package schema_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"gateway/internal/schema"
)

func BenchmarkDecode(b *testing.B) {
	s := schema.Bank()
	b.SetBytes(int64(len(sample)))
	b.ReportAllocs()
	for b.Loop() {
		if _, violations, err := decode(s, sample); err != nil || len(violations) > 0 {
			b.Fatal(err, violations)
		}
	}
}

// The usual request, decoded and validated in one pass.
func BenchmarkScan(b *testing.B) {
	s := schema.Bank()
	text := []byte(`{"customer_id":"10042","features":` + sample + `}`)
	r := schema.Input{Features: s.NewRecord()}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r.Features.Reset()
		if !s.Scan(text, &r) {
			b.Fatal("not read")
		}
	}
}

// What the standard library takes to read the same, without looking at it.
func BenchmarkDecodeUnchecked(b *testing.B) {
	text := []byte(`{"customer_id":"10042","features":` + sample + `}`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var v struct {
			CustomerID string         `json:"customer_id"`
			Features   map[string]any `json:"features"`
		}
		if err := json.Unmarshal(text, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	s := schema.Bank()
	r := record(b, s, sample)
	v := make(schema.Vector, 0, s.Width())
	b.ReportAllocs()
	for b.Loop() {
		v = s.AppendVector(v[:0], r)
	}
}

func BenchmarkAppendCSV(b *testing.B) {
	s := schema.Bank()
	v := s.Encode(record(b, s, sample))
	var row []byte
	b.ReportAllocs()
	for b.Loop() {
		row = schema.AppendCSV(row[:0], v)
	}
}

func BenchmarkCSVTable(b *testing.B) {
	s := schema.Bank()
	text := bankLike(1000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		table, err := schema.NewCSVTable(s, strings.NewReader(text), 1<<20)
		for err == nil {
			_, err = table.Next()
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	}
}

// bankLike writes rows in the form of the bank data.
func bankLike(n int) string {
	random := rand.New(rand.NewPCG(5, 6))
	s := schema.Bank()
	var b strings.Builder
	b.WriteString(sampleHeader)
	b.WriteString(sampleRow)
	for range n {
		for i := range s.Features {
			switch f := &s.Features[i]; {
			case f.Type == schema.Category:
				fmt.Fprintf(&b, "%q;", f.Values[random.IntN(len(f.Values))])
			case f.Type == schema.Number:
				fmt.Fprintf(&b, "%.3f;", random.NormFloat64()*50)
			default:
				fmt.Fprintf(&b, "%d;", 17+random.IntN(80))
			}
		}
		fmt.Fprintf(&b, "%q\n", []string{"no", "yes"}[random.IntN(2)])
	}
	return b.String()
}
