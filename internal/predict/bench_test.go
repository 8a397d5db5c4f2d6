package predict_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/predict"
	"gateway/internal/schema"
)

// quick is a model, a customer store and a ledger that answer at once and keep
// nothing, so that what is measured is the service's own work.
type quick struct{ predict.Ledger }

func (quick) Score(context.Context, []schema.Vector, bool) (predict.Scores, error) {
	return predict.Scores{Model: "m", Score: []float64{0.25}, Label: []int{0}}, nil
}

func (quick) Features(context.Context, []string) (map[string][]byte, error) {
	return map[string][]byte{"10042": []byte(sample)}, nil
}

func (quick) Append(context.Context, []predict.Prediction) error { return nil }

// Decoding of the request included.
func BenchmarkPredict(b *testing.B) {
	s := schema.Bank()
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
	s := schema.Bank()
	service := predict.NewService(s, quick{}, quick{}, quick{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := service.Predict(b.Context(), predict.Request{CustomerID: "10042"}); err != nil {
			b.Fatal(err)
		}
	}
}
