package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"gateway/internal/predict"
)

func testPages(t *testing.T, open opener) {
	ctx := context.Background()
	t.Run("customers come once each, in pages", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		one := 1
		ids := []string{"A", "B-1", "a", "b", "b ", "b-1", "c,;\"", "ä", "10", "9"}
		for _, id := range ids {
			_, _, err := s.PutCustomers(ctx, []predict.Customer{{ID: id, Features: []byte(`{"of":"` + fmt.Sprint(len(id)) + `"}`), Label: &one}})
			must(t, err)
		}
		seen := map[string]bool{}
		after := ""
		for range len(ids) {
			page, err := s.CustomersAfter(ctx, after, 3)
			must(t, err)
			if len(page) == 0 {
				break
			}
			for _, c := range page {
				if seen[c.ID] || c.Label == nil || *c.Label != 1 {
					t.Errorf("customer %q again, or without its label", c.ID)
				}
				seen[c.ID], after = true, c.ID
			}
		}
		want(t, "customers", len(seen), len(ids))
	})
	t.Run("predictions come with their outcomes, in the order of their ids", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		first, second := newPrediction("p1"), predictionFor("p2", "c", epoch.Add(time.Second))
		second.Caller, second.Personal = "shop", []byte(`{"age":"k:1"}`)
		must(t, s.Append(ctx, []predict.Prediction{second, first}))
		at := epoch.Add(time.Hour)
		_, err := s.RecordOutcomes(ctx, []predict.Outcome{{PredictionID: "p2", Label: 1, ObservedAt: at}})
		must(t, err)
		one := 1
		page, err := s.PredictionsAfter(ctx, "", 10)
		must(t, err)
		want(t, "page", page, []predict.Recorded{{Prediction: first}, {Prediction: second, Outcome: &one, OutcomeAt: &at}})
		page, err = s.PredictionsAfter(ctx, "p1", 10)
		must(t, err)
		want(t, "after the first", len(page), 1)
		page, err = s.PredictionsAfter(ctx, "p2", 10)
		must(t, err)
		want(t, "after the last", len(page), 0)
	})
}
