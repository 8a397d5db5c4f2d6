package predicttest_test

import (
	"errors"
	"testing"
	"time"

	"gateway/internal/predict"
	"gateway/internal/predict/predicttest"
)

func TestStoreKeepsItsContract(t *testing.T) {
	predicttest.TestStore(t, func(*testing.T) predicttest.Ports { return predicttest.NewStore() })
}

func TestLabelsOfTheStore(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	zero, one := 0, 1
	store := predicttest.NewStore()
	put := func(label *int) {
		t.Helper()
		if _, _, err := store.PutCustomers(t.Context(), []predict.Customer{{ID: "1", Features: []byte(`{}`), Label: label}}); err != nil {
			t.Fatal(err)
		}
	}
	outcome := func(label int, at time.Time) {
		t.Helper()
		if _, err := store.RecordOutcomes(t.Context(), []predict.Outcome{{CustomerID: "1", Label: label, ObservedAt: at}}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, label *int) {
		t.Helper()
		c, _ := store.Customer("1")
		if (c.Label == nil) != (label == nil) || (label != nil && *c.Label != *label) {
			t.Errorf("%s: label is not %v", what, label)
		}
	}
	put(nil)
	want("imported without a label", nil)
	put(&zero)
	want("imported with a label", &zero)
	put(nil)
	want("imported again without one", &zero)
	outcome(1, noon)
	want("after an outcome", &one)
	put(&zero)
	want("imported after the outcome", &one)
	outcome(0, noon.Add(-time.Hour))
	want("an outcome observed earlier came later", &one)
	outcome(0, noon.Add(time.Hour))
	want("an outcome observed later", &zero)
}

func TestFailingStoreFailsEverywhere(t *testing.T) {
	store, down := predicttest.NewStore(), errors.New("down")
	store.Fail(down)
	_, err1 := store.Features(t.Context(), nil)
	_, _, err2 := store.PutCustomers(t.Context(), nil)
	_, err3 := store.RemoveDemo(t.Context())
	err4 := store.Append(t.Context(), nil)
	_, err5 := store.RecordOutcomes(t.Context(), nil)
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if !errors.Is(err, down) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
}
