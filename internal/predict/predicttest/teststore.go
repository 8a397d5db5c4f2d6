package predicttest

import (
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

// Ports is what a store of customers and predictions offers.
type Ports interface {
	predict.Customers
	predict.CustomerStore
	predict.Ledger
}

// TestStore checks what every store must do. open returns an empty store that
// lives as long as the test.
func TestStore(t *testing.T, open func(t *testing.T) Ports) {
	TestStoreWithoutDemo(t, open)
	t.Run("RemoveDemo removes the generated customers only", func(t *testing.T) {
		s := open(t)
		demo := predict.Customer{ID: "10001", Features: []byte(`{}`), Demo: true}
		if _, _, err := s.PutCustomers(t.Context(), []predict.Customer{demo, {ID: "1", Features: []byte(`{}`)}}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int64{1, 0} {
			if n, err := s.RemoveDemo(t.Context()); err != nil || n != want {
				t.Errorf("removed %d, %v; want %d", n, err, want)
			}
		}
		if found, _ := s.Features(t.Context(), []string{"1", "10001"}); len(found) != 1 || found["1"] == nil {
			t.Errorf("left: %q", found)
		}
	})
}

// TestStoreWithoutDemo checks a store that takes no generated customers. The
// features of the customers are none of a schema's but age, a number.
func TestStoreWithoutDemo(t *testing.T, open func(t *testing.T) Ports) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	customer := func(id, features string) predict.Customer {
		return predict.Customer{ID: id, Features: []byte(features)}
	}
	put := func(t *testing.T, s Ports, customers ...predict.Customer) (inserted, updated int) {
		t.Helper()
		inserted, updated, err := s.PutCustomers(t.Context(), customers)
		if err != nil {
			t.Fatalf("PutCustomers: %v", err)
		}
		return inserted, updated
	}
	appendTo := func(t *testing.T, s Ports, predictions ...predict.Prediction) {
		t.Helper()
		if err := s.Append(t.Context(), predictions); err != nil {
			t.Fatalf("Append: %v", err)
		}
	}
	record := func(t *testing.T, s Ports, outcomes ...predict.Outcome) []predict.Match {
		t.Helper()
		matches, err := s.RecordOutcomes(t.Context(), outcomes)
		if err != nil {
			t.Fatalf("RecordOutcomes: %v", err)
		}
		if len(matches) != len(outcomes) {
			t.Fatalf("%d outcomes gave %d matches", len(outcomes), len(matches))
		}
		return matches
	}
	prediction := func(id, customer string, at time.Time) predict.Prediction {
		return predict.Prediction{ID: id, CustomerID: customer, CreatedAt: at, Features: []byte(`{}`),
			Score: 0.25, Model: "model-1", Schema: "schema-1"}
	}

	t.Run("customers come back by id, unknown ones do not", func(t *testing.T) {
		s := open(t)
		put(t, s, customer("1", `{"age":34}`), customer("2", `{"age":35}`))
		found, err := s.Features(t.Context(), []string{"2", "3", "2"})
		if err != nil || len(found) != 1 || string(found["2"]) != `{"age":35}` {
			t.Errorf("got %q, %v", found, err)
		}
	})
	t.Run("a customer put twice is updated", func(t *testing.T) {
		s := open(t)
		if inserted, updated := put(t, s, customer("1", `{"age":34}`)); inserted != 1 || updated != 0 {
			t.Errorf("first: %d inserted, %d updated", inserted, updated)
		}
		if inserted, updated := put(t, s, customer("1", `{"age":35}`), customer("2", `{}`)); inserted != 1 || updated != 1 {
			t.Errorf("second: %d inserted, %d updated", inserted, updated)
		}
		if found, _ := s.Features(t.Context(), []string{"1"}); string(found["1"]) != `{"age":35}` {
			t.Errorf("got %q", found["1"])
		}
	})
	t.Run("an outcome finds its prediction and the customer", func(t *testing.T) {
		s := open(t)
		put(t, s, customer("1", `{}`))
		id := failure.NewID()
		appendTo(t, s, prediction(id, "1", noon))
		want := predict.Match{Found: true, PredictionID: id, CustomerID: "1", Model: "model-1"}
		if got := record(t, s, predict.Outcome{PredictionID: id, Label: 1, ObservedAt: noon})[0]; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("a prediction that is known is ignored", func(t *testing.T) {
		s := open(t)
		first := prediction(failure.NewID(), "1", noon)
		appendTo(t, s, first, first)
		appendTo(t, s, first)
		want := predict.Match{Found: true, PredictionID: first.ID, CustomerID: "1", Model: "model-1"}
		if got := record(t, s, predict.Outcome{PredictionID: first.ID, Label: 1, ObservedAt: noon})[0]; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("an outcome of a customer belongs to the latest prediction", func(t *testing.T) {
		s := open(t)
		put(t, s, customer("1", `{}`))
		first, second := failure.NewID(), failure.NewID()
		appendTo(t, s, prediction(first, "1", noon), prediction(second, "1", noon.Add(time.Minute)))
		if got := record(t, s, predict.Outcome{CustomerID: "1", ObservedAt: noon.Add(time.Hour)})[0]; got.PredictionID != second {
			t.Errorf("got %+v, want prediction %s", got, second)
		}
	})
	t.Run("a customer without predictions takes an outcome", func(t *testing.T) {
		s := open(t)
		put(t, s, customer("1", `{}`))
		want := predict.Match{Found: true, CustomerID: "1"}
		if got := record(t, s, predict.Outcome{CustomerID: "1", Label: 1, ObservedAt: noon})[0]; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("an anonymous prediction takes an outcome", func(t *testing.T) {
		s := open(t)
		id := failure.NewID()
		appendTo(t, s, prediction(id, "", noon))
		want := predict.Match{Found: true, PredictionID: id, CustomerID: id, Model: "model-1"}
		if got := record(t, s, predict.Outcome{PredictionID: id, Label: 1, ObservedAt: noon})[0]; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("what is unknown matches nothing, and its neighbours are not disturbed", func(t *testing.T) {
		s := open(t)
		put(t, s, customer("1", `{}`))
		got := record(t, s, predict.Outcome{CustomerID: "nobody", ObservedAt: noon},
			predict.Outcome{CustomerID: "1", ObservedAt: noon},
			predict.Outcome{PredictionID: failure.NewID(), ObservedAt: noon})
		if got[0] != (predict.Match{}) || !got[1].Found || got[2] != (predict.Match{}) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("an outcome observed before the one that counts is superseded", func(t *testing.T) {
		s := open(t)
		put(t, s, customer("1", `{}`))
		record(t, s, predict.Outcome{CustomerID: "1", Label: 1, ObservedAt: noon})
		want := predict.Match{Found: true, CustomerID: "1", Superseded: true}
		if got := record(t, s, predict.Outcome{CustomerID: "1", Label: 0, ObservedAt: noon.Add(-time.Hour)})[0]; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("an outcome sent twice counts once", func(t *testing.T) {
		s := open(t)
		put(t, s, customer("1", `{}`))
		o := predict.Outcome{CustomerID: "1", Label: 1, ObservedAt: noon}
		for i, want := range []bool{false, true, true} {
			if got := record(t, s, o)[0]; !got.Found || got.Duplicate != want {
				t.Errorf("time %d: %+v, want duplicate %v", i+1, got, want)
			}
		}
	})
}
