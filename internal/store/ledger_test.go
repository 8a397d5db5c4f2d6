package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

func testLedger(t *testing.T, open opener) {
	ctx := context.Background()
	t.Run("predictions are kept exactly", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		anonymous := newPrediction("p1")
		anonymous.Score = math.Nextafter(0.1, 1)
		known := predictionFor("p2", "c", epoch.Add(time.Microsecond).In(time.FixedZone("elsewhere", 3600)))
		known.Label, known.Caller, known.Personal = 0, "shop", []byte(`{"age":"k:1"}`)
		must(t, s.Append(ctx, []predict.Prediction{anonymous, known}))
		for _, p := range []predict.Prediction{anonymous, known} {
			got, _ := readLedger(t, s, p.ID)
			p.CreatedAt = p.CreatedAt.UTC()
			want(t, p.ID, got, ledgerRow{Prediction: p})
		}
	})
	t.Run("a repeated id is ignored, in one call and in several", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		first, other := newPrediction("p"), newPrediction("p")
		other.Score = 0.1
		must(t, s.Append(ctx, []predict.Prediction{first, other}))
		must(t, s.Append(ctx, []predict.Prediction{other, newPrediction("q")}))
		got, _ := readLedger(t, s, "p")
		want(t, "score", got.Prediction.Score, first.Score)
		want(t, "rows", countRows(t, s, "predictions"), 2)
	})
	t.Run("a call is all or nothing", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		bad := newPrediction("bad")
		bad.Label = 7
		err := s.Append(ctx, []predict.Prediction{newPrediction("p"), bad})
		wantKind(t, err, failure.Invalid, "a value cannot be stored")
		want(t, "rows", countRows(t, s, "predictions"), 0)
	})
	t.Run("a score that is not finite is refused", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for _, score := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			bad := newPrediction("bad")
			bad.Score = score
			wantKind(t, s.Append(ctx, []predict.Prediction{bad}), failure.Invalid, "a value cannot be stored")
		}
		largest := newPrediction("largest")
		largest.Score = -math.MaxFloat64
		must(t, s.Append(ctx, []predict.Prediction{largest}))
	})
	t.Run("a call of any size is kept whole and in its order", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		id, total := 0, 0
		for _, n := range []int{1, 7, 8, 9, 31, 32, 33, 73, 1024} {
			rows := make([]predict.Prediction, n)
			for i := range rows {
				rows[i] = newPrediction(fmt.Sprint(id))
				id++
			}
			must(t, s.Append(ctx, rows))
			total += n
		}
		want(t, "rows", countRows(t, s, "predictions"), total)
		for i := range total {
			if got, _ := readLedger(t, s, fmt.Sprint(i)); string(got.Prediction.Features) != string(newPrediction(fmt.Sprint(i)).Features) {
				t.Fatalf("row %d has features %s", i, got.Prediction.Features)
			}
		}
	})
	t.Run("a call that is refused in its last row leaves nothing of its last transaction", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		rows := make([]predict.Prediction, 300)
		for i := range rows {
			rows[i] = newPrediction(fmt.Sprintf("%03d", i))
		}
		rows[299].Label = 7
		wantKind(t, s.Append(ctx, rows), failure.Invalid, "a value cannot be stored")
		want(t, "rows", countRows(t, s, "predictions"), 256)
		rows[299].Label = 1
		must(t, s.Append(ctx, rows))
		want(t, "rows when it is sent again", countRows(t, s, "predictions"), 300)
	})
	t.Run("an empty call is nothing", func(t *testing.T) {
		t.Parallel()
		must(t, open(t).Append(ctx, nil))
	})
	t.Run("a caller that leaves is not recorded", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		leaving, cancel := context.WithCancel(ctx)
		cancel()
		if err := s.Append(leaving, []predict.Prediction{newPrediction("leaves")}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		want(t, "rows", countRows(t, s, "predictions"), 0)
	})
}

func testRetention(t *testing.T, open opener) {
	ctx := context.Background()
	t.Run("the oldest go first, no more than the limit, and none that is young enough", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		var rows []predict.Prediction
		for i := range 10 {
			rows = append(rows, predictionFor(fmt.Sprint(9-i), "c", at(9-i)))
		}
		must(t, s.Append(ctx, rows))
		for _, wanted := range []int64{4, 2, 0} {
			removed, err := s.RemovePredictions(ctx, at(6), 4)
			must(t, err)
			want(t, "removed", removed, wanted)
			if wanted == 4 {
				for i := range 10 {
					if _, found := readLedger(t, s, fmt.Sprint(i)); found != (i >= 4) {
						t.Errorf("after the first four, row %d is there: %v", i, found)
					}
				}
			}
		}
		want(t, "rows", countRows(t, s, "predictions"), 4)
	})
	t.Run("one that was made long after its id does not keep others", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		must(t, s.Append(ctx, []predict.Prediction{
			predictionFor("0", "c", at(0)), predictionFor("1", "c", at(8)), predictionFor("2", "c", at(2)), predictionFor("3", "c", at(3))}))
		for _, wanted := range []int64{2, 1, 0} {
			removed, err := s.RemovePredictions(ctx, at(6), 3)
			must(t, err)
			want(t, "removed", removed, wanted)
		}
		if _, found := readLedger(t, s, "1"); !found {
			t.Error("the young one is gone")
		}
	})
	t.Run("what the next model learns from stays", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		must(t, s.Append(ctx, []predict.Prediction{predictionFor("p", "c", at(0)), predictionFor("q", "", at(0))}))
		record(t, s, ofPrediction("p", 1, 1), ofPrediction("q", 0, 1))
		removed, err := s.RemovePredictions(ctx, at(5), 100)
		must(t, err)
		want(t, "removed", removed, int64(2))
		customers := allCustomers(t, s)
		want(t, "label of the customer", customers["c"].Label, ptr(1))
		want(t, "label of the anonymous one", customers["q"].Label, ptr(0))
		want(t, "outcomes", countRows(t, s, "outcomes"), 2)
		if got := record(t, s, ofCustomer("c", 1, 1))[0]; !got.Found || !got.Duplicate {
			t.Errorf("the outcome sent once more: got %+v, want it known", got)
		}
	})
	t.Run("two at once are harmless", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		rows := make([]predict.Prediction, 1000)
		for i := range rows {
			rows[i] = predictionFor(fmt.Sprintf("%03d", i), "c", at(i))
		}
		must(t, s.Append(ctx, rows))
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for n := int64(1); n > 0; {
					var err error
					if n, err = s.RemovePredictions(ctx, at(900), 50); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		want(t, "rows", countRows(t, s, "predictions"), 100)
	})
}

func testRecentPredictions(t *testing.T, open opener) {
	ctx := context.Background()
	s := open(t)
	none, err := s.RecentPredictions(ctx, "m1", 10)
	must(t, err)
	want(t, "at first", len(none), 0)
	var all []predict.Prediction
	for i := range 6 {
		p := predictionFor(fmt.Sprintf("p%d", i), "c", at(i))
		p.Model = fmt.Sprintf("m%d", i%2)
		all = append(all, p)
	}
	must(t, s.Append(ctx, all))
	recent, err := s.RecentPredictions(ctx, "m1", 2)
	must(t, err)
	want(t, "the newest two of m1", recent, []predict.Prediction{all[5], all[3]})
}
