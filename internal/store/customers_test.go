package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

func put(t testing.TB, s *Line, customers ...predict.Customer) {
	t.Helper()
	_, _, err := s.PutCustomers(context.Background(), customers)
	must(t, err)
}

func testCustomers(t *testing.T, open opener) {
	ctx := context.Background()
	t.Run("new and known customers are counted, and read back as stored", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		a := predict.Customer{ID: "a", Features: []byte(`{"job":"é\u0000ü 😀"}`), Label: ptr(1)}
		b := predict.Customer{ID: "b", Features: []byte(`{}`), Demo: true}
		inserted, updated, err := s.PutCustomers(ctx, []predict.Customer{a, b})
		must(t, err)
		want(t, "first import", []int{inserted, updated}, []int{2, 0})
		b.Features, b.Demo, b.Label = []byte(`{"age":1}`), false, ptr(0)
		c := predict.Customer{ID: "c", Features: []byte(`{"age":2}`)}
		inserted, updated, err = s.PutCustomers(ctx, []predict.Customer{b, c, c})
		must(t, err)
		want(t, "second import", []int{inserted, updated}, []int{1, 2})
		want(t, "customers", allCustomers(t, s), map[string]predict.Customer{"a": a, "b": b, "c": c})
	})
	t.Run("the highest number of an id", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		last := func() int64 {
			n, err := s.LastNumber(ctx)
			must(t, err)
			return n
		}
		want(t, "without customers", last(), int64(0))
		put(t, s, predict.Customer{ID: "c7"}, predict.Customer{ID: "-3"}, predict.Customer{ID: "8.5"}, predict.Customer{ID: " 9"}, predict.Customer{ID: "1e3"},
			predict.Customer{ID: "16000", Demo: true}, predict.Customer{ID: "99999999999999999999999999"})
		want(t, "without numbers", last(), int64(0))
		put(t, s, predict.Customer{ID: "9"}, predict.Customer{ID: "0100"}, predict.Customer{ID: "42"})
		want(t, "with numbers", last(), int64(100))
	})
	t.Run("an import without a label keeps the known one", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		put(t, s, predict.Customer{ID: "a", Label: ptr(1)})
		put(t, s, predict.Customer{ID: "a"})
		want(t, "label", allCustomers(t, s)["a"].Label, ptr(1))
		put(t, s, predict.Customer{ID: "a", Label: ptr(0)})
		want(t, "label", allCustomers(t, s)["a"].Label, ptr(0))
	})
	t.Run("an import does not override the label of an outcome", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		put(t, s, predict.Customer{ID: "a"})
		_, err := s.RecordOutcomes(ctx, []predict.Outcome{{CustomerID: "a", Label: 1, ObservedAt: epoch}})
		must(t, err)
		put(t, s, predict.Customer{ID: "a", Features: []byte(`{"age":3}`), Label: ptr(0), Demo: true, Outcome: 99})
		want(t, "customer", allCustomers(t, s)["a"],
			predict.Customer{ID: "a", Features: []byte(`{"age":3}`), Label: ptr(1), Demo: true, Outcome: 1})
	})
	t.Run("a customer that cannot be stored leaves none of the import", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for name, bad := range map[string]predict.Customer{
			"no id": {Features: []byte(`{}`)}, "label": {ID: "x", Label: ptr(2)},
		} {
			inserted, updated, err := s.PutCustomers(ctx, []predict.Customer{{ID: "good"}, bad})
			wantKind(t, err, failure.Invalid, "a value cannot be stored")
			want(t, name, []int{inserted, updated}, []int{0, 0})
		}
		want(t, "customers", len(allCustomers(t, s)), 0)
	})
	t.Run("an empty import is nothing", func(t *testing.T) {
		t.Parallel()
		inserted, updated, err := open(t).PutCustomers(ctx, nil)
		want(t, "result", []any{inserted, updated, err}, []any{0, 0, nil})
	})
	t.Run("features are found for those who exist, however many are asked for", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		var customers []predict.Customer
		for i := range 2000 {
			customers = append(customers, predict.Customer{ID: fmt.Sprint(i), Features: fmt.Appendf(nil, `{"age":%d}`, i)})
		}
		put(t, s, customers...)
		for _, n := range []int{0, 1, 2, idsPerQuery, idsPerQuery + 1, 3000} {
			ids := make([]string, n)
			wanted := make(map[string][]byte)
			for i := range ids {
				ids[i] = fmt.Sprint(i + 1000)
				if i < 1000 {
					wanted[ids[i]] = customers[i+1000].Features
				}
			}
			got, err := s.Features(ctx, ids)
			must(t, err)
			want(t, fmt.Sprintf("features of %d", n), got, wanted)
		}
		for _, ids := range [][]string{{"nobody"}, {"nobody", "neither"}, {"nobody", "nobody"}} {
			got, err := s.Features(ctx, ids)
			must(t, err)
			want(t, "features of an unknown customer", got, map[string][]byte{})
		}
	})
	t.Run("demo customers leave with their outcomes, and the ledger stays", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		put(t, s, predict.Customer{ID: "demo", Demo: true}, predict.Customer{ID: "real", Label: ptr(0)})
		must(t, s.Append(ctx, []predict.Prediction{predictionFor("p", "demo", epoch)}))
		record(t, s, predict.Outcome{CustomerID: "demo", Label: 1, ObservedAt: epoch})
		counts, err := s.CountCustomers(ctx)
		must(t, err)
		want(t, "counts", counts, Counts{Customers: 2, Labelled: 2, Demo: 1})
		removed, err := s.RemoveDemo(ctx)
		must(t, err)
		want(t, "removed", removed, int64(1))
		counts, err = s.CountCustomers(ctx)
		must(t, err)
		want(t, "counts", counts, Counts{Customers: 1, Labelled: 1})
		want(t, "outcomes", countRows(t, s, "outcomes"), 0)
		want(t, "predictions", countRows(t, s, "predictions"), 1)
		// A customer that is seen again starts anew, under a number that was never used.
		m := record(t, s, predict.Outcome{CustomerID: "demo", Label: 1, ObservedAt: epoch})
		want(t, "match", m[0], predict.Match{Found: true, CustomerID: "demo", PredictionID: "p", Model: "model of p"})
		want(t, "outcome", allCustomers(t, s)["demo"].Outcome, int64(2))
	})
	t.Run("an empty store counts nothing", func(t *testing.T) {
		t.Parallel()
		counts, err := open(t).CountCustomers(ctx)
		must(t, err)
		want(t, "counts", counts, Counts{})
	})
}

func testEachCustomer(t *testing.T, open opener) {
	ctx := context.Background()
	many := make([]predict.Customer, 3000)
	for i := range many {
		many[i] = predict.Customer{ID: fmt.Sprintf("%05d", i), Features: []byte(`{"age":1}`)}
	}
	t.Run("it sees the customers as they were when it began, in order, while others write", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		stored := slices.Clone(many)
		slices.Reverse(stored)
		put(t, s, stored...)
		next := 0
		must(t, s.EachCustomer(ctx, func(c predict.Customer) error {
			want(t, "id", c.ID, many[next].ID)
			want(t, "features", c.Features, many[next].Features)
			if next%1000 == 0 {
				put(t, s, predict.Customer{ID: many[2999].ID, Features: []byte(`{"age":2}`)},
					predict.Customer{ID: fmt.Sprintf("9%04d", next)})
				must(t, s.Append(ctx, []predict.Prediction{newPrediction(c.ID)}))
			}
			next++
			return nil
		}))
		want(t, "customers seen", next, len(many))
		want(t, "customers now", len(allCustomers(t, s)), len(many)+3)
	})
	t.Run("an error of the callback ends it", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		put(t, s, many[:10]...)
		stop := errors.New("stop")
		calls := 0
		err := s.EachCustomer(ctx, func(predict.Customer) error { calls++; return stop })
		want(t, "error and calls", []any{err == stop, calls}, []any{true, 1})
	})
	t.Run("a context that ends midway ends it", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		put(t, s, many...)
		ctx, cancel := context.WithCancel(ctx)
		calls := 0
		err := s.EachCustomer(ctx, func(predict.Customer) error { calls++; cancel(); return nil })
		if !errors.Is(err, context.Canceled) || calls != 1 {
			t.Errorf("got error %v after %d calls, want context.Canceled after 1", err, calls)
		}
	})
	t.Run("long reads leave connections to look up customers with", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		put(t, s, many...)
		entered, leave := make(chan bool, maxStreams), make(chan bool)
		done := make(chan error)
		for range maxStreams {
			go func() {
				first := true
				done <- s.EachCustomer(ctx, func(predict.Customer) error {
					if first {
						entered <- true
						<-leave
						first = false
					}
					return nil
				})
			}()
		}
		for range maxStreams {
			<-entered
		}
		want(t, "long reads under way", len(s.streams), maxStreams)
		got, err := s.Features(ctx, []string{"00001"})
		must(t, err)
		want(t, "features found", len(got), 1)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		err = s.EachCustomer(ended, func(predict.Customer) error { return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("one stream too many: got %v, want context.Canceled", err)
		}
		close(leave)
		for range maxStreams {
			must(t, <-done)
		}
	})
}
