package store

import (
	"testing"
	"time"

	"gateway/internal/predict"
)

// testSuperseded is about what the match of an outcome says that does not count,
// and about labels that were observed in the future.
func testSuperseded(t *testing.T, open opener) {
	superseded := func(matches []predict.Match) (all []bool) {
		for _, m := range matches {
			all = append(all, m.Superseded)
		}
		return all
	}
	outcomes := []predict.Outcome{ofCustomer("c", 1, 5), ofCustomer("c", 0, 4), ofCustomer("c", 1, 6), ofCustomer("c", 0, 7),
		ofCustomer("d", 1, 1), ofCustomer("c", 0, 7)}
	setup := func(t *testing.T) *Line {
		s := open(t)
		put(t, s, predict.Customer{ID: "c"}, predict.Customer{ID: "d"})
		return s
	}
	t.Run("an outcome is superseded that does not set the label", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		var got []predict.Match
		for _, o := range outcomes {
			got = append(got, record(t, s, o)...)
		}
		want(t, "superseded", superseded(got), []bool{false, true, false, false, false, false})
		// Sent again, each is a duplicate, and says what has become of it.
		want(t, "sent again", superseded(record(t, s, outcomes...)), []bool{true, false, true, false, false, false})
	})
	t.Run("in a list, also one that a later one of the list replaces", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		want(t, "superseded", superseded(record(t, s, outcomes...)), []bool{true, true, true, false, false, false})
		want(t, "label", allCustomers(t, s)["c"].Label, ptr(0))
	})
	// What was stored before the time of an outcome was checked.
	future := time.Date(2062, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, at := range map[string]time.Time{"of 2062": future, "of the year 9999": time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)} {
		t.Run("a label "+name+" counts as observed when it was received", func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			now := epoch
			s.now = func() time.Time { return now }
			must(t, s.Append(t.Context(), []predict.Prediction{predictionFor("p", "c", epoch.Add(-time.Hour))}))
			record(t, s, predict.Outcome{PredictionID: "p", Label: 1, ObservedAt: at})
			now = epoch.Add(48 * time.Hour)
			got := record(t, s, predict.Outcome{CustomerID: "c", Label: 0, ObservedAt: epoch.Add(-time.Second)})
			want(t, "one observed before it came is superseded", got[0].Superseded, true)
			labels, err := s.LabelsOf(t.Context(), []string{"c"})
			must(t, err)
			want(t, "time to push", labels[0].ObservedAt, epoch)
			got = record(t, s, predict.Outcome{CustomerID: "c", Label: 0, ObservedAt: epoch.Add(time.Hour)})
			want(t, "one observed after it came is superseded", got[0].Superseded, false)
			want(t, "label", allCustomers(t, s)["c"].Label, ptr(0))
			row, _ := readLedger(t, s, "p")
			want(t, "ledger", []any{row.Outcome, row.OutcomeAt}, []any{ptr(0), ptr(epoch.Add(time.Hour))})
		})
	}
	t.Run("a confirmation gives a label of the future its time", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		now := epoch
		s.now = func() time.Time { return now }
		record(t, s, predict.Outcome{CustomerID: "c", Label: 1, ObservedAt: future})
		now = epoch.Add(48 * time.Hour)
		record(t, s, predict.Outcome{CustomerID: "c", Label: 1, ObservedAt: epoch.Add(2 * time.Hour)})
		got := record(t, s, predict.Outcome{CustomerID: "c", Label: 0, ObservedAt: epoch.Add(time.Hour)})
		want(t, "one from between is superseded", got[0].Superseded, true)
	})
	t.Run("a time as far ahead as an outcome may be counts as it is", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.now = func() time.Time { return epoch }
		record(t, s, predict.Outcome{CustomerID: "c", Label: 1, ObservedAt: epoch.Add(predict.MaxObservedAhead)})
		got := record(t, s, predict.Outcome{CustomerID: "c", Label: 0, ObservedAt: epoch.Add(time.Minute)})
		want(t, "superseded", got[0].Superseded, true)
	})
	t.Run("a label of the future that came from a clock in the future counts as of now", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		now := future
		s.now = func() time.Time { return now }
		record(t, s, predict.Outcome{CustomerID: "c", Label: 1})
		now = epoch
		got := record(t, s, predict.Outcome{CustomerID: "c", Label: 0, ObservedAt: epoch})
		want(t, "superseded", got[0].Superseded, false)
	})
}
