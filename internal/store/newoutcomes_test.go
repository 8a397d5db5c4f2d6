package store

import (
	"context"
	"testing"
	"time"

	"gateway/internal/modelswap"
	"gateway/internal/predict"
)

func testOutcomesAfter(t *testing.T, open opener) {
	ctx := context.Background()
	s := open(t)
	now := epoch
	s.now = func() time.Time { return now }
	put(t, s, predict.Customer{ID: "confirmed", Label: ptr(1)}, predict.Customer{ID: "turned", Label: ptr(1)}, predict.Customer{ID: "new"}, predict.Customer{ID: "old"})
	must(t, s.Append(ctx, []predict.Prediction{predictionFor("p", "invented", epoch)}))
	record(t, s, by("a", ofCustomer("old", 1, 0)))
	now = epoch.Add(time.Hour)
	record(t, s, by("a", ofCustomer("confirmed", 1, 0)), by("a", ofCustomer("turned", 0, 0)), ofCustomer("new", 1, 0), by("b", ofPrediction("p", 1, 0)))
	for name, tc := range map[string]struct {
		after   int64
		settled time.Time
		known   bool
		want    modelswap.NewOutcomes
	}{
		"all":             {0, epoch.Add(time.Minute), false, modelswap.NewOutcomes{Settled: 2, ByCaller: map[string]int64{"a": 1, "b": 1, predict.AnonymousCaller: 1}}},
		"of known ones":   {0, epoch.Add(time.Minute), true, modelswap.NewOutcomes{Settled: 2, ByCaller: map[string]int64{"a": 1, predict.AnonymousCaller: 1}}},
		"nothing settles": {0, time.Time{}, false, modelswap.NewOutcomes{Settled: 1, ByCaller: map[string]int64{"a": 2, "b": 1, predict.AnonymousCaller: 1}}},
		"later ones":      {3, time.Time{}, false, modelswap.NewOutcomes{ByCaller: map[string]int64{"b": 1, predict.AnonymousCaller: 1}}},
		"none":            {5, time.Time{}, false, modelswap.NewOutcomes{ByCaller: map[string]int64{}}},
	} {
		got, err := s.OutcomesAfter(ctx, tc.after, tc.settled, tc.known)
		must(t, err)
		want(t, name, got, tc.want)
	}
}
