package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gateway/internal/predict"
)

// plan is how the engine would run a query if the tables were large.
func plan(t *testing.T, s *Line, query string) string {
	t.Helper()
	tx, err := s.read.BeginTx(t.Context(), nil)
	must(t, err)
	defer tx.Rollback()
	rows, err := tx.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+query)
	if err != nil { // PostgreSQL
		must(t, tx.Rollback())
		tx, err = s.read.BeginTx(t.Context(), nil)
		must(t, err)
		defer tx.Rollback()
		_, err = tx.ExecContext(t.Context(), `SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off`)
		must(t, err)
		rows, err = tx.QueryContext(t.Context(), `EXPLAIN `+query)
		must(t, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	must(t, err)
	var lines []string
	for rows.Next() {
		cells := make([]any, len(columns))
		for i := range cells {
			cells[i] = new(any)
		}
		must(t, rows.Scan(cells...))
		lines = append(lines, fmt.Sprint(*cells[len(cells)-1].(*any))) // SQLite's text is the last column
	}
	must(t, rows.Err())
	return strings.Join(lines, "\n")
}

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
		of[0].Evidence = predict.Evidence{}
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
	t.Run("labels by number are found by an index, in its order", func(t *testing.T) {
		t.Parallel()
		plan := plan(t, open(t), strings.NewReplacer("$1", "7", "$2", "100").Replace(labelsAfterSQL))
		if !strings.Contains(plan, "customers_by_outcome") || strings.Contains(plan, "Sort") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("the plan is\n%s", plan)
		}
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
		must(t, s.SetMark(ctx, "labels", 8)) // late
		got, err := s.Mark(ctx, "labels")
		must(t, err)
		want(t, "mark after a late one", got, int64(9))
		other, err := s.Mark(ctx, "other")
		must(t, err)
		want(t, "another mark", other, int64(0))
	})
}
