package store

import (
	"testing"

	"gateway/internal/predict"
)

// BenchmarkSearch is a page of the newest predictions of a model, of the one that serves and of
// one without any, for which all that may be looked at is looked at.
func BenchmarkSearch(b *testing.B) {
	s := openTestSQLite(b)
	batch := make([]predict.Prediction, 1024)
	for range 20 {
		for i := range batch {
			batch[i] = benchPrediction()
		}
		must(b, s.Append(b.Context(), batch))
	}
	for _, model := range []string{"", batch[0].Model, "none"} {
		b.Run("model="+model, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Search(b.Context(), predict.Search{Model: model, Limit: 50, MaxLooked: 10_000}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
