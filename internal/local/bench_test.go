package local

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/demo"
	"gateway/internal/learn"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// nothing is a ledger and a customer store that keep nothing.
type nothing struct{ predict.Ledger }

func (nothing) Features(context.Context, []string) (map[string][]byte, error) { return nil, nil }
func (nothing) Append(context.Context, []predict.Prediction) error            { return nil }

// BenchmarkExplain compares predictions without and with reasons, by 20 trees of depth 4 and by
// the model that auto chooses.
func BenchmarkExplain(b *testing.B) {
	s := schema.Bank()
	customers, err := demo.Customers(s, 4000, 1)
	if err != nil {
		b.Fatal(err)
	}
	data := learn.Dataset{Columns: s.Columns()}
	var records []schema.Record
	for _, c := range customers {
		r, err := s.DecodeStored(c.Features, func(int, string) {})
		if err != nil {
			b.Fatal(err)
		}
		if c.Label == nil || len(s.Complete(r, "")) > 0 {
			continue
		}
		data.X, data.Y = append(data.X, s.Encode(r)...), append(data.Y, float64(*c.Label))
		records = append(records, r)
	}
	for _, model := range []struct {
		algorithm  learn.Algorithm
		parameters map[string]string
	}{
		{learn.XGBoost, map[string]string{"num_round": "20", "max_depth": "4"}},
		{learn.Auto, nil},
	} {
		m, err := learn.Train(b.Context(), data, learn.Options{Algorithm: model.algorithm, Hyperparameters: model.parameters})
		if err != nil {
			b.Fatal(err)
		}
		scorer := &Scorer{}
		scorer.serving.Store(&loaded{name: "m1", schema: s.Fingerprint(), model: m})
		service := predict.NewService(s, scorer, nothing{}, nothing{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		for _, explain := range []schema.Explain{schema.ExplainNone, schema.ExplainTop, schema.ExplainAll} {
			text, _ := explain.MarshalJSON()
			b.Run(fmt.Sprintf("%s/explain=%s", model.algorithm, text), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := service.Predict(b.Context(), predict.Request{Features: records[i%len(records)], Explain: explain}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
