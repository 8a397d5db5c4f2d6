package store

import (
	"context"
	"testing"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

func record(t testing.TB, s *Line, outcomes ...predict.Outcome) []predict.Match {
	t.Helper()
	matches, err := s.RecordOutcomes(context.Background(), outcomes)
	must(t, err)
	if len(matches) != len(outcomes) {
		t.Fatalf("got %d matches for %d outcomes", len(matches), len(outcomes))
	}
	return matches
}

// at is a time in seconds after epoch.
func at(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }

func ofCustomer(id string, label, seconds int) predict.Outcome {
	return predict.Outcome{CustomerID: id, Label: label, ObservedAt: at(seconds)}
}

func ofPrediction(id string, label, seconds int) predict.Outcome {
	return predict.Outcome{PredictionID: id, Label: label, ObservedAt: at(seconds)}
}

// testOutcomes is about whose an outcome is.
func testOutcomes(t *testing.T, open opener) {
	ctx := context.Background()
	setup := func(t *testing.T, predictions ...predict.Prediction) *Line {
		s := open(t)
		put(t, s, predict.Customer{ID: "c", Features: []byte(`{"stored":1}`)})
		must(t, s.Append(ctx, predictions))
		return s
	}
	t.Run("what is unknown matches nothing and leaves nothing", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		got := record(t, s, ofPrediction("x", 1, 0), ofCustomer("x", 1, 0), predict.Outcome{PredictionID: "x", CustomerID: "c"},
			predict.Outcome{})
		want(t, "matches", got, make([]predict.Match, 4))
		want(t, "outcomes", countRows(t, s, "outcomes"), 0)
		want(t, "customers", countRows(t, s, "customers"), 1)
	})
	t.Run("the outcome of a prediction is its customer's", func(t *testing.T) {
		t.Parallel()
		s := setup(t, predictionFor("p", "c", at(0)))
		want(t, "match", record(t, s, ofPrediction("p", 1, 5))[0],
			predict.Match{Found: true, PredictionID: "p", CustomerID: "c", Model: "model of p"})
		want(t, "customer", allCustomers(t, s)["c"],
			predict.Customer{ID: "c", Features: []byte(`{"stored":1}`), Label: ptr(1), Outcome: 1})
		row, _ := readLedger(t, s, "p")
		want(t, "ledger", []any{row.Outcome, row.OutcomeAt}, []any{ptr(1), ptr(at(5))})
	})
	t.Run("an anonymous prediction becomes a customer of its own", func(t *testing.T) {
		t.Parallel()
		p := newPrediction("p")
		s := setup(t, p)
		want(t, "match", record(t, s, ofPrediction("p", 0, 5))[0],
			predict.Match{Found: true, PredictionID: "p", CustomerID: "p", Model: "m1"})
		want(t, "customer", allCustomers(t, s)["p"],
			predict.Customer{ID: "p", Features: p.Features, Label: ptr(0), Outcome: 1})
		// The answer named it as a customer, so it can be corrected as one.
		want(t, "correction", record(t, s, ofCustomer("p", 1, 6))[0],
			predict.Match{Found: true, PredictionID: "p", CustomerID: "p", Model: "m1"})
		want(t, "label", allCustomers(t, s)["p"].Label, ptr(1))
		row, _ := readLedger(t, s, "p")
		want(t, "ledger", row.Outcome, ptr(1))
	})
	t.Run("a prediction's id is no customer's where the prediction has a customer", func(t *testing.T) {
		t.Parallel()
		s := setup(t, predictionFor("p", "c", at(0)))
		want(t, "match", record(t, s, ofCustomer("p", 1, 0))[0], predict.Match{})
	})
	t.Run("a customer only ever predicted for is made from the newest prediction", func(t *testing.T) {
		t.Parallel()
		old, newest := predictionFor("z", "new", at(1)), predictionFor("a", "new", at(2))
		s := setup(t, newest, old)
		want(t, "match", record(t, s, ofCustomer("new", 1, 5))[0],
			predict.Match{Found: true, PredictionID: "a", CustomerID: "new", Model: "model of a"})
		want(t, "customer", allCustomers(t, s)["new"],
			predict.Customer{ID: "new", Features: newest.Features, Label: ptr(1), Outcome: 1})
		row, _ := readLedger(t, s, "z")
		want(t, "older prediction's outcome", row.Outcome, (*int)(nil))
	})
	t.Run("of two predictions at the same moment the greater id is the newest", func(t *testing.T) {
		t.Parallel()
		s := setup(t, predictionFor("p2", "c", at(1)), predictionFor("p1", "c", at(1)))
		want(t, "match", record(t, s, ofCustomer("c", 1, 5))[0].PredictionID, "p2")
	})
	t.Run("a stored customer needs no prediction", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		want(t, "match", record(t, s, ofCustomer("c", 1, 5))[0], predict.Match{Found: true, CustomerID: "c"})
	})
	t.Run("where both ids are given the prediction decides", func(t *testing.T) {
		t.Parallel()
		s := setup(t, predictionFor("p", "other", at(0)))
		o := ofPrediction("p", 1, 5)
		o.CustomerID = "c"
		want(t, "match", record(t, s, o)[0].CustomerID, "other")
		want(t, "label of c", allCustomers(t, s)["c"].Label, (*int)(nil))
	})
	t.Run("a label that is none fails the call and records nothing", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		_, err := s.RecordOutcomes(ctx, []predict.Outcome{ofCustomer("c", 1, 0), ofCustomer("c", 2, 0)})
		wantKind(t, err, failure.Invalid, "an outcome must be 0 or 1")
		want(t, "outcomes", countRows(t, s, "outcomes"), 0)
	})
	t.Run("an outcome without a time was observed now", func(t *testing.T) {
		t.Parallel()
		s := setup(t, predictionFor("p", "c", at(0)))
		s.now = func() time.Time { return at(77) }
		record(t, s, predict.Outcome{CustomerID: "c", Label: 1})
		row, _ := readLedger(t, s, "p")
		want(t, "time", row.OutcomeAt, ptr(at(77)))
	})
	t.Run("no outcomes, no matches", func(t *testing.T) {
		t.Parallel()
		matches, err := open(t).RecordOutcomes(ctx, nil)
		want(t, "result", []any{len(matches), err}, []any{0, nil})
	})
}

// testLabels is about which outcome counts, and that it counts once. Each case
// sends its outcomes once in one call and once in a call each.
func testLabels(t *testing.T, open opener) {
	type result struct {
		Duplicate []bool
		Label     *int
		Outcome   int64 // sequence number of the outcome that counts
		Recorded  int   // rows of outcomes
		P, Q      *int  // what the ledger says of the older and the newer prediction
	}
	cases := []struct {
		name     string
		imported *int
		outcomes []predict.Outcome
		want     result
	}{
		{
			"sent twice it counts once", nil,
			[]predict.Outcome{ofCustomer("c", 1, 5), ofCustomer("c", 1, 5)},
			result{[]bool{false, true}, ptr(1), 1, 1, nil, ptr(1)},
		},
		{
			"the same label again counts once, at whatever time", nil,
			[]predict.Outcome{ofCustomer("c", 1, 5), ofCustomer("c", 1, 9), ofCustomer("c", 1, 2)},
			result{[]bool{false, true, true}, ptr(1), 1, 1, nil, ptr(1)},
		},
		{
			"a later observation with another label wins", nil,
			[]predict.Outcome{ofCustomer("c", 1, 5), ofCustomer("c", 0, 6)},
			result{[]bool{false, false}, ptr(0), 2, 2, nil, ptr(0)},
		},
		{
			"one that arrives late is recorded and changes nothing", nil,
			[]predict.Outcome{ofCustomer("c", 1, 5), ofCustomer("c", 0, 4)},
			result{[]bool{false, false}, ptr(1), 1, 2, nil, ptr(1)},
		},
		{
			"one that arrives late counts once, too", nil,
			[]predict.Outcome{ofCustomer("c", 1, 5), ofCustomer("c", 0, 4), ofCustomer("c", 0, 4)},
			result{[]bool{false, false, true}, ptr(1), 1, 2, nil, ptr(1)},
		},
		{
			"of two observed at the same moment the one received last wins", nil,
			[]predict.Outcome{ofCustomer("c", 1, 5), ofCustomer("c", 0, 5)},
			result{[]bool{false, false}, ptr(0), 2, 2, nil, ptr(0)},
		},
		{
			"and a repetition of the first of them does not win it back", nil,
			[]predict.Outcome{ofCustomer("c", 1, 5), ofCustomer("c", 0, 5), ofCustomer("c", 1, 5)},
			result{[]bool{false, false, true}, ptr(0), 2, 2, nil, ptr(0)},
		},
		{
			"a label that was confirmed later stands against one from between", nil,
			[]predict.Outcome{ofCustomer("c", 1, 5), ofCustomer("c", 1, 9), ofCustomer("c", 0, 7)},
			result{[]bool{false, true, false}, ptr(1), 1, 2, nil, ptr(1)},
		},
		{
			"back and forth, each change counts", nil,
			[]predict.Outcome{ofCustomer("c", 1, 1), ofCustomer("c", 0, 2), ofCustomer("c", 1, 3), ofCustomer("c", 1, 3)},
			result{[]bool{false, false, false, true}, ptr(1), 3, 3, nil, ptr(1)},
		},
		{
			"an imported label gives way to an outcome", ptr(0),
			[]predict.Outcome{ofCustomer("c", 1, -1000000)},
			result{[]bool{false}, ptr(1), 1, 1, nil, ptr(1)},
		},
		{
			"an outcome that confirms an imported label counts", ptr(1),
			[]predict.Outcome{ofCustomer("c", 1, 5)},
			result{[]bool{false}, ptr(1), 1, 1, nil, ptr(1)},
		},
		{
			"two predictions of one customer both learn their result, and it counts once", nil,
			[]predict.Outcome{ofPrediction("p", 1, 5), ofPrediction("q", 1, 6), ofPrediction("p", 1, 5)},
			result{[]bool{false, true, true}, ptr(1), 1, 1, ptr(1), ptr(1)},
		},
		{
			"the older prediction learns its own result", nil,
			[]predict.Outcome{ofPrediction("p", 0, 5), ofPrediction("q", 1, 6)},
			result{[]bool{false, false}, ptr(1), 2, 2, ptr(0), ptr(1)},
		},
		{
			"a prediction keeps what was observed last, however it arrives", nil,
			[]predict.Outcome{ofPrediction("p", 1, 5), ofPrediction("p", 1, 9), ofPrediction("p", 0, 7)},
			result{[]bool{false, true, false}, ptr(1), 1, 2, ptr(1), nil},
		},
		{
			"an outcome known of the customer still reaches the prediction", nil,
			[]predict.Outcome{ofPrediction("q", 1, 5), ofPrediction("q", 0, 6), ofPrediction("p", 1, 5)},
			result{[]bool{false, false, true}, ptr(0), 2, 2, ptr(1), ptr(0)},
		},
		{
			"a microsecond decides", nil,
			[]predict.Outcome{
				{CustomerID: "c", Label: 1, ObservedAt: epoch.Add(time.Microsecond)},
				{CustomerID: "c", Label: 0, ObservedAt: epoch},
			},
			result{[]bool{false, false}, ptr(1), 1, 2, nil, ptr(1)},
		},
	}
	for _, c := range cases {
		for _, how := range []string{"in one call", "in several"} {
			t.Run(c.name+", "+how, func(t *testing.T) {
				t.Parallel()
				s := open(t)
				put(t, s, predict.Customer{ID: "c", Label: c.imported})
				must(t, s.Append(t.Context(), []predict.Prediction{predictionFor("p", "c", at(-2)), predictionFor("q", "c", at(-1))}))
				var matches []predict.Match
				if how == "in one call" {
					matches = record(t, s, c.outcomes...)
				} else {
					for _, o := range c.outcomes {
						matches = append(matches, record(t, s, o)...)
					}
				}
				got := result{Recorded: countRows(t, s, "outcomes")}
				for _, m := range matches {
					got.Duplicate = append(got.Duplicate, m.Duplicate)
				}
				customer := allCustomers(t, s)["c"]
				got.Label, got.Outcome = customer.Label, customer.Outcome
				p, _ := readLedger(t, s, "p")
				q, _ := readLedger(t, s, "q")
				got.P, got.Q = p.Outcome, q.Outcome
				want(t, "result", got, c.want)
			})
		}
	}
	t.Run("the row of an outcome says whose, when and of which model", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		s.now = func() time.Time { return at(50) }
		must(t, s.Append(t.Context(), []predict.Prediction{predictionFor("p", "c", at(0))}))
		record(t, s, ofPrediction("p", 1, 5))
		var seq, label, observed, received int64
		var customer, prediction, model string
		must(t, s.read.QueryRow(`SELECT seq, customer_id, prediction_id, label, observed_at, received_at, model FROM outcomes`).
			Scan(&seq, &customer, &prediction, &label, &observed, &received, &model))
		want(t, "row", []any{seq, customer, prediction, label, fromMicros(observed), fromMicros(received), model},
			[]any{int64(1), "c", "p", int64(1), at(5), at(50), "model of p"})
	})
}
