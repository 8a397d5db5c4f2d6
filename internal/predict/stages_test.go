package predict_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/predict"
	"gateway/internal/predict/predicttest"
)

// slowStore takes a second to tell customers' features, and two to record.
type slowStore struct{ *predicttest.Store }

// Features implements predict.Customers.
func (s slowStore) Features(ctx context.Context, ids []string) (map[string][]byte, error) {
	time.Sleep(time.Second)
	return s.Store.Features(ctx, ids)
}

// Append implements predict.Ledger.
func (s slowStore) Append(ctx context.Context, predictions []predict.Prediction) error {
	time.Sleep(2 * time.Second)
	return s.Store.Append(ctx, predictions)
}

func TestStagesTellWhereTheTimeOfARequestWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, registry := setup(t, small), prometheus.NewRegistry()
		slow := slowStore{b.store}
		service := predict.NewService(b.schema, b.scorer, slow, slow, slog.New(slog.DiscardHandler), registry)
		begun := time.Now()
		time.Sleep(4 * time.Second)
		service.ObserveRead(begun)
		if _, err := service.Predict(t.Context(), b.request(t, "10042", `{}`)); err != nil {
			t.Fatal(err)
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]float64)
		for _, family := range families {
			if family.GetName() != "gateway_request_stage_seconds" {
				continue
			}
			for _, m := range family.Metric {
				got[m.Label[0].GetValue()] = m.GetHistogram().GetSampleSum()
			}
		}
		if diff := cmp.Diff(map[string]float64{"read": 4, "prepare": 1, "record": 2}, got); diff != "" {
			t.Errorf("seconds by stage (-want +got):\n%s", diff)
		}
	})
}

// BenchmarkStages is what the three stages cost a request.
func BenchmarkStages(b *testing.B) {
	service, begun := setup(b, small).Service, time.Now()
	b.ReportAllocs()
	for b.Loop() {
		for range 3 {
			service.ObserveRead(begun)
		}
	}
}
