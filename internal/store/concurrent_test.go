package store

import (
	"fmt"
	"sync"
	"testing"

	"gateway/internal/predict"
	"gateway/internal/testsize"
)

// testConcurrent does everything at once and then counts: each prediction and
// each outcome is there once, although all are sent twice.
func testConcurrent(t *testing.T, open opener) {
	const calls, perCall = 10, 4
	writers := testsize.Of(15, 50)
	s := open(t)
	ctx := t.Context()
	var demo []predict.Customer
	for i := range 500 {
		demo = append(demo, predict.Customer{ID: fmt.Sprintf("demo-%03d", i), Features: []byte(`{}`)})
	}
	put(t, s, demo...)

	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			customer := fmt.Sprintf("customer-%d", w)
			for c := range calls {
				var predictions []predict.Prediction
				for i := range perCall {
					predictions = append(predictions, predictionFor(fmt.Sprintf("%d-%d-%d", w, c, i), customer, at(c)))
				}
				for range 2 {
					if err := s.Append(ctx, predictions); err != nil {
						t.Errorf("Append: %v", err)
					}
				}
				// The labels alternate, so that each outcome counts.
				outcome := ofPrediction(predictions[0].ID, c%2, c)
				for repeated := range 2 {
					matches, err := s.RecordOutcomes(ctx, []predict.Outcome{outcome})
					if err != nil || !matches[0].Found || matches[0].Duplicate != (repeated == 1) {
						t.Errorf("RecordOutcomes: got %+v, %v", matches, err)
					}
				}
			}
		})
	}
	for range 3 {
		all.Go(func() {
			for range 5 {
				last, seen := "", 0
				if err := s.EachCustomer(ctx, func(c predict.Customer) error {
					if c.ID <= last {
						t.Errorf("customer %q came after %q", c.ID, last)
					}
					last, seen = c.ID, seen+1
					return nil
				}); err != nil || seen < len(demo) {
					t.Errorf("EachCustomer: %d customers, error %v", seen, err)
				}
			}
		})
	}
	all.Go(func() {
		for range 20 {
			if _, updated, err := s.PutCustomers(ctx, demo); err != nil || updated != len(demo) {
				t.Errorf("PutCustomers: updated %d, error %v", updated, err)
			}
			if found, err := s.Features(ctx, []string{"demo-001", "demo-002"}); err != nil || len(found) != 2 {
				t.Errorf("Features: found %d, error %v", len(found), err)
			}
		}
	})
	all.Wait()

	want(t, "predictions", countRows(t, s, "predictions"), writers*calls*perCall)
	want(t, "outcomes", countRows(t, s, "outcomes"), writers*calls)
	want(t, "customers", countRows(t, s, "customers"), len(demo)+writers)
	var highest, counter, distinct int64
	must(t, s.read.QueryRow(`SELECT max(seq), (SELECT value FROM counters WHERE name = 'outcomes'), count(DISTINCT outcome)
FROM outcomes, customers WHERE customers.id = outcomes.customer_id`).Scan(&highest, &counter, &distinct))
	want(t, "sequence without holes", []int64{highest, counter, distinct}, []int64{int64(writers * calls), int64(writers * calls), int64(writers)})
}
