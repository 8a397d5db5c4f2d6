package predict_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/predict"
)

func BenchmarkDecode(b *testing.B) {
	s := predict.Bank()
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
	s := predict.Bank()
	text := []byte(`{"customer_id":"10042","features":` + sample + `}`)
	r := predict.Input{Features: s.NewRecord()}
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
	s := predict.Bank()
	r := record(b, s, sample)
	v := make(predict.Vector, 0, s.Width())
	b.ReportAllocs()
	for b.Loop() {
		v = s.AppendVector(v[:0], r)
	}
}

func BenchmarkAppendCSV(b *testing.B) {
	s := predict.Bank()
	v := s.Encode(record(b, s, sample))
	var row []byte
	b.ReportAllocs()
	for b.Loop() {
		row = predict.AppendCSV(row[:0], v)
	}
}

// quick is a model, a customer store and a ledger that answer at once and keep
// nothing, so that what is measured is the service's own work.
type quick struct{ predict.Ledger }

func (quick) Score(context.Context, []predict.Vector, bool) (predict.Scores, error) {
	return predict.Scores{Model: "m", Score: []float64{0.25}, Label: []int{0}}, nil
}

func (quick) Features(context.Context, []string) (map[string][]byte, error) {
	return map[string][]byte{"10042": []byte(sample)}, nil
}

func (quick) Append(context.Context, []predict.Prediction) error { return nil }

// Decoding of the request included.
func BenchmarkPredict(b *testing.B) {
	s := predict.Bank()
	service := predict.NewService(s, quick{}, quick{}, quick{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	b.ReportAllocs()
	for b.Loop() {
		r, violations, err := decode(s, sample)
		if err != nil || len(violations) > 0 {
			b.Fatal(err, violations)
		}
		if _, err := service.Predict(b.Context(), predict.Request{Features: r}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPredictStored(b *testing.B) {
	s := predict.Bank()
	service := predict.NewService(s, quick{}, quick{}, quick{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := service.Predict(b.Context(), predict.Request{CustomerID: "10042"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCSVTable(b *testing.B) {
	s := predict.Bank()
	text := bankLike(1000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		table, err := predict.NewCSVTable(s, strings.NewReader(text), 1<<20)
		for err == nil {
			_, err = table.Next()
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	}
}
