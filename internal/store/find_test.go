package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

// idAt is an id of a time, as failure.NewID makes them.
func idAt(at time.Time, n int) string {
	return failure.NewIDAt(at, strings.NewReader(strings.Repeat(fmt.Sprintf("%016d", n), 4)))
}

func testFind(t *testing.T, open opener) {
	ctx := context.Background()
	// Ten predictions, a minute apart: of customer c those of an even number, by model
	// rare the third and the last.
	fill := func(t *testing.T) (*Line, []predict.Prediction) {
		s := open(t)
		all := make([]predict.Prediction, 10)
		for i := range all {
			at := epoch.Add(time.Duration(i) * time.Minute)
			all[i] = predictionFor(idAt(at, i), []string{"c", "other"}[i%2], at)
			all[i].Model = "usual"
			if i == 2 || i == 9 {
				all[i].Model = "rare"
			}
		}
		must(t, s.Append(ctx, all))
		return s, all
	}
	// pages reads all pages, as the numbers of the predictions.
	pages := func(t *testing.T, s *Line, all []predict.Prediction, q predict.Search) (read [][]int) {
		for range 12 {
			found, err := s.Search(ctx, q)
			must(t, err)
			numbers := []int{}
			for _, p := range found.Predictions {
				i := slices.IndexFunc(all, func(a predict.Prediction) bool { return a.ID == p.ID })
				if p.Score != all[i].Score || p.Model != all[i].Model || !p.CreatedAt.Equal(all[i].CreatedAt) || p.CustomerID != all[i].CustomerID {
					t.Errorf("prediction %d is %+v", i, p)
				}
				numbers = append(numbers, i)
			}
			read = append(read, numbers)
			if found.Next.ID == "" {
				return read
			}
			q.Before = found.Next
		}
		t.Fatal("the pages do not end")
		return nil
	}
	t.Run("predictions are found page by page, the newest first", func(t *testing.T) {
		t.Parallel()
		s, all := fill(t)
		minute := func(n int) time.Time { return epoch.Truncate(time.Millisecond).Add(time.Duration(n) * time.Minute) }
		for name, tt := range map[string]struct {
			q    predict.Search
			want string
		}{
			"all":                   {predict.Search{Limit: 4}, "[[9 8 7 6] [5 4 3 2] [1 0]]"},
			"a full last page":      {predict.Search{Limit: 5}, "[[9 8 7 6 5] [4 3 2 1 0]]"},
			"a time":                {predict.Search{Limit: 4, From: minute(3), To: minute(6)}, "[[5 4 3]]"},
			"a customer":            {predict.Search{Limit: 2, CustomerID: "c"}, "[[8 6] [4 2] [0]]"},
			"a customer at a time":  {predict.Search{Limit: 5, CustomerID: "c", From: minute(2), To: minute(8)}, "[[6 4 2]]"},
			"a model":               {predict.Search{Limit: 5, Model: "rare", MaxLooked: 100}, "[[9 2]]"},
			"a model, in looks":     {predict.Search{Limit: 5, Model: "rare", MaxLooked: 4}, "[[9] [2] []]"},
			"a model of a customer": {predict.Search{Limit: 5, Model: "rare", CustomerID: "c", MaxLooked: 2}, "[[] [2] []]"},
			"an unknown customer":   {predict.Search{Limit: 5, CustomerID: "nobody"}, "[[]]"},
		} {
			if got := fmt.Sprint(pages(t, s, all, tt.q)); got != tt.want {
				t.Errorf("%s: got %s, want %s", name, got, tt.want)
			}
		}
	})
	t.Run("a prediction comes with the outcomes of its customer", func(t *testing.T) {
		t.Parallel()
		s, all := fill(t)
		for i, o := range []predict.Outcome{
			{PredictionID: all[4].ID, Label: 0, ObservedAt: epoch.Add(time.Hour), Caller: "shop"},
			{CustomerID: "c", Label: 1, ObservedAt: epoch.Add(2 * time.Hour)},
		} {
			matches, err := s.RecordOutcomes(ctx, []predict.Outcome{o})
			must(t, err)
			want(t, fmt.Sprint("outcome ", i), matches[0].Found, true)
		}
		full, err := s.Prediction(ctx, all[4].ID)
		must(t, err)
		want(t, "prediction", full.Prediction, all[4])
		want(t, "outcome", *full.Outcome, 0)
		var got []string
		for _, o := range full.Outcomes {
			got = append(got, fmt.Sprint(o.Label, " ", o.Caller, " ", o.PredictionID == all[4].ID, " ", o.ObservedAt.Sub(epoch)))
		}
		want(t, "outcomes", strings.Join(got, ", "), "1 anonymous false 2h0m0s, 0 shop true 1h0m0s")
		_, err = s.Prediction(ctx, "nothing")
		wantKind(t, err, failure.NotFound, "there is no prediction \"nothing\"")
	})
	t.Run("indexes are read, and no table", func(t *testing.T) {
		t.Parallel()
		s, _ := fill(t)
		for name, query := range map[string]string{
			"by time":     withValues(findByTimeSQL, s.id, "'f'", "''", 100, "'m'", 50),
			"by customer": withValues(findByCustomerSQL, s.id, "'c'", 1, "'f'", 0, 100, "'m'", 50),
			"one":         withValues(fullSQL, "'p'", s.id, 20),
		} {
			got := plan(t, s, query)
			for _, bad := range []string{"SCAN predictions", "SCAN outcomes", "SCAN p", "SCAN o", "Seq Scan on predictions", "Seq Scan on outcomes"} {
				if slices.Contains(strings.Split(strings.ReplaceAll(got, "  ", "\n"), "\n"), bad) || strings.HasPrefix(bad, "Seq") && strings.Contains(got, bad) {
					t.Errorf("%s: %s", name, got)
				}
			}
			if name == "by customer" && !strings.Contains(got, "predictions_of_customer") {
				t.Errorf("%s: %s", name, got)
			}
		}
	})
}

// withValues puts values into a query, for a plan.
func withValues(query string, values ...any) string {
	for i := len(values); i > 0; i-- {
		query = strings.ReplaceAll(query, fmt.Sprintf("$%d", i), fmt.Sprint(values[i-1]))
	}
	return query
}
