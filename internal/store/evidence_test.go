package store

import (
	"context"
	"testing"
	"time"

	"gateway/internal/predict"
)

func evidenceOf(t testing.TB, s *Line) map[string]predict.Evidence {
	t.Helper()
	all := make(map[string]predict.Evidence)
	must(t, s.EachCustomer(t.Context(), func(c predict.Customer) error {
		all[c.ID] = c.Evidence
		return nil
	}))
	return all
}

// by says who reports an outcome.
func by(caller string, o predict.Outcome) predict.Outcome {
	o.Caller = caller
	return o
}

func testEvidence(t *testing.T, open opener) {
	ctx := context.Background()
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	openAtNoon := func(t *testing.T) *Line {
		s := open(t)
		s.now = func() time.Time { return noon }
		return s
	}
	t.Run("customers of apps and of imports are told apart", func(t *testing.T) {
		t.Parallel()
		s := openAtNoon(t)
		put(t, s, predict.Customer{ID: "known", Label: ptr(0), Evidence: predict.Evidence{Made: true, Caller: "x"}}, predict.Customer{ID: "new"})
		must(t, s.Append(ctx, []predict.Prediction{predictionFor("p", "invented", epoch), predictionFor("q", "known", epoch), newPrediction("anonymous")}))
		record(t, s, by("web", ofPrediction("p", 1, 0)), ofPrediction("anonymous", 1, 0), by("crm", ofCustomer("known", 1, 0)), by("crm", ofCustomer("new", 1, 0)))
		want(t, "evidence", evidenceOf(t, s), map[string]predict.Evidence{
			"known":     {Caller: "crm", LabelledAt: noon, Imported: ptr(0)},
			"new":       {Caller: "crm", LabelledAt: noon},
			"invented":  {Made: true, Caller: "web", LabelledAt: noon},
			"anonymous": {Made: true, Caller: predict.AnonymousCaller, LabelledAt: noon},
		})
		of, err := s.LabelsOf(ctx, []string{"invented"})
		must(t, err)
		want(t, "label's evidence", of[0].Evidence, predict.Evidence{Made: true, Caller: "web", LabelledAt: noon})
	})
	t.Run("the imported label stays through later outcomes", func(t *testing.T) {
		t.Parallel()
		s := openAtNoon(t)
		put(t, s, predict.Customer{ID: "c", Label: ptr(0)})
		record(t, s, by("a", ofCustomer("c", 1, 1)))
		record(t, s, by("b", ofCustomer("c", 0, 2)))
		record(t, s, by("c", ofCustomer("c", 1, 0))) // observed earlier: it changes nothing
		record(t, s, by("d", ofCustomer("c", 0, 3))) // confirms what is known
		want(t, "evidence", evidenceOf(t, s)["c"], predict.Evidence{Caller: "b", LabelledAt: noon, Imported: ptr(0)})
	})
	t.Run("an import makes a customer an imported one, and is kept beside the outcome", func(t *testing.T) {
		t.Parallel()
		s := openAtNoon(t)
		must(t, s.Append(ctx, []predict.Prediction{predictionFor("p", "c", epoch)}))
		record(t, s, by("a", ofPrediction("p", 1, 0)))
		put(t, s, predict.Customer{ID: "c"})
		want(t, "without a label", evidenceOf(t, s)["c"], predict.Evidence{Caller: "a", LabelledAt: noon})
		put(t, s, predict.Customer{ID: "c", Label: ptr(0)})
		put(t, s, predict.Customer{ID: "c"})
		want(t, "with one", evidenceOf(t, s)["c"], predict.Evidence{Caller: "a", LabelledAt: noon, Imported: ptr(0)})
		want(t, "label", allCustomers(t, s)["c"].Label, ptr(1))
	})
	t.Run("customers who are imported elsewhere are marked so", func(t *testing.T) {
		t.Parallel()
		s := openAtNoon(t)
		must(t, s.Append(ctx, []predict.Prediction{predictionFor("p", "c", epoch), predictionFor("q", "d", epoch)}))
		record(t, s, by("a", ofPrediction("p", 1, 0)), by("a", ofPrediction("q", 1, 0)))
		must(t, s.MarkImported(ctx, []predict.Customer{{ID: "c", Evidence: predict.Evidence{Imported: ptr(0)}}, {ID: "d"}, {ID: "nobody"}}))
		want(t, "evidence", evidenceOf(t, s), map[string]predict.Evidence{
			"c": {Caller: "a", LabelledAt: noon, Imported: ptr(0)}, "d": {Caller: "a", LabelledAt: noon},
		})
	})
}
