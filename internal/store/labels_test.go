package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"gateway/internal/predict"
)

func testPushedLabels(t *testing.T, open opener) {
	ctx := context.Background()
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	t.Run("labels that outcomes set are read by customer and by number", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		one := 1
		var customers []predict.Customer
		for i := range 5 {
			customers = append(customers, predict.Customer{ID: fmt.Sprint(i), Features: []byte(`{"age":34}`), Label: &one}) // imported
		}
		_, _, err := s.PutCustomers(ctx, customers)
		must(t, err)
		for i := range 4 {
			_, err := s.RecordOutcomes(ctx, []predict.Outcome{{CustomerID: fmt.Sprint(3 - i), Label: i % 2, ObservedAt: noon.Add(time.Duration(i) * time.Minute)}})
			must(t, err)
		}
		of, err := s.LabelsOf(ctx, []string{"2", "4", "nobody"})
		must(t, err)
		want(t, "labels of", len(of), 1)
		label := 1 // the second outcome's
		want(t, "label", of[0], predict.LabelledCustomer{ObservedAt: noon.Add(time.Minute),
			Customer: predict.Customer{ID: "2", Features: []byte(`{"age":34}`), Label: &label, Outcome: 2}})
		var ids []string
		for after := int64(1); ; {
			page, err := s.LabelsAfter(ctx, after, 2)
			must(t, err)
			if len(page) == 0 {
				break
			}
			for _, c := range page {
				ids = append(ids, c.ID)
				after = c.Outcome
			}
		}
		want(t, "labels after the first", ids, []string{"2", "1", "0"})
	})
	t.Run("a mark is kept by name", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for _, value := range []int64{0, 7, 9} {
			if value > 0 {
				must(t, s.SetMark(ctx, "labels", value))
			}
			got, err := s.Mark(ctx, "labels")
			must(t, err)
			want(t, "mark", got, value)
		}
		other, err := s.Mark(ctx, "other")
		must(t, err)
		want(t, "another mark", other, int64(0))
	})
}
