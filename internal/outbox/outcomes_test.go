package outbox

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/predict/predicttest"
)

// ports are an outbox before a store, as a service sees them.
type ports struct {
	*predicttest.Store
	box *bench
}

func (p ports) Append(ctx context.Context, rows []predict.Prediction) error {
	return p.box.Append(ctx, rows)
}

func (p ports) RecordOutcomes(ctx context.Context, outcomes []predict.Outcome) ([]predict.Match, error) {
	return p.box.RecordOutcomes(ctx, outcomes)
}

// TestTheOutboxKeepsTheLedgersContract holds it to what every ledger must do,
// while nothing is drained and while it is.
func TestTheOutboxKeepsTheLedgersContract(t *testing.T) {
	for name, run := range map[string]bool{"before the drain": false, "while draining": true} {
		t.Run(name, func(t *testing.T) {
			predicttest.TestStore(t, func(t *testing.T) predicttest.Ports {
				b := setup(t, Options{})
				if run {
					b.run(t)
				}
				return ports{b.db.Store, b}
			})
		})
	}
}

func TestWithoutADiskTheOutboxKeepsTheLedgersContract(t *testing.T) {
	predicttest.TestStore(t, func(t *testing.T) predicttest.Ports {
		b := setup(t, Options{Sync: Database})
		return ports{b.db.Store, b}
	})
}

func TestWithoutADiskNothingIsAnsweredThatTheDatabaseDoesNotHave(t *testing.T) {
	b := setup(t, Options{Sync: Database})
	if err := b.Append(t.Context(), newPredictions(0, 3)); err != nil {
		t.Fatal(err)
	}
	if got := len(b.db.Predictions()); got != 3 {
		t.Errorf("the database has %d predictions, want 3", got)
	}
	b.db.refuse = func(predict.Prediction) error { return errDown }
	err := b.Append(t.Context(), newPredictions(3, 1))
	if e := (*failure.Error)(nil); !errors.As(err, &e) || e.Kind != failure.Unavailable || e.RetryAfter == 0 {
		t.Errorf("got %v, want an error of kind Unavailable", err)
	}
	if err := b.Check(t.Context()); !errors.Is(err, errDirect) {
		t.Errorf("Check is %v, want %v", err, errDirect)
	}
	b.db.refuse = nil
	if err := b.Append(t.Context(), newPredictions(4, 1)); err != nil {
		t.Fatal(err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("Check is %v after a success", err)
	}
	if s := b.Stats(); s.Rows != 0 || s.Bytes != 0 {
		t.Errorf("%d rows and %d bytes are on disk, want none", s.Rows, s.Bytes)
	}
}

func outcomeOf(id string) predict.Outcome {
	return predict.Outcome{PredictionID: id, Label: 1, ObservedAt: noon.Add(time.Hour)}
}

func TestAnOutcomeTakesItsPredictionAlong(t *testing.T) {
	b := setup(t, Options{MaxBytes: MinBytes})
	all := newPredictions(0, 2000)
	for i := 0; i < len(all); i += 100 {
		b.mustAppend(t, all[i:i+100]...)
	}
	outcomes := []predict.Outcome{outcomeOf(all[3].ID), outcomeOf("nobody"), outcomeOf(all[1999].ID),
		{CustomerID: all[5].CustomerID, Label: 1, ObservedAt: noon}}
	matches, err := b.RecordOutcomes(t.Context(), outcomes)
	if err != nil {
		t.Fatal(err)
	}
	newest := all[1993+(5-1993%7+7)%7] // the last whose number leaves 5
	for i, want := range []string{all[3].ID, "", all[1999].ID, newest.ID} {
		if matches[i].PredictionID != want || matches[i].Found != (want != "") {
			t.Errorf("outcome %d matched %+v, want %q", i, matches[i], want)
		}
	}
	if n := len(b.db.Predictions()); n != 3 {
		t.Errorf("%d predictions were stored out of their turn, want 3", n)
	}
	again, err := b.RecordOutcomes(t.Context(), outcomes)
	if err != nil || !again[0].Duplicate || !again[3].Duplicate {
		t.Errorf("sent once more: %+v, %v", again, err)
	}
	b.mustDrain(t)
	if n := len(b.db.Predictions()); n != len(all) {
		t.Errorf("after the drain the database has %d rows, want %d", n, len(all))
	}
}

func TestOutcomesFindLargeAndBrokenRows(t *testing.T) {
	b := setup(t, Options{})
	large := newPrediction(1)
	large.Features = make([]byte, 100<<10)
	b.mustAppend(t, newPrediction(0), large)
	offset := b.journal.segments[0].keys[0].offset
	b.change(t, segmentName(1), func(data []byte) []byte { data[offset+20] ^= 1; return data })
	matches, err := b.RecordOutcomes(t.Context(), []predict.Outcome{outcomeOf(large.ID), outcomeOf(newPrediction(0).ID)})
	if err != nil || !matches[0].Found || matches[1].Found {
		t.Errorf("got %+v, %v; want the large one only", matches, err)
	}
}

func TestAnOutcomeOfARowThatIsRefusedMatchesNothing(t *testing.T) {
	b := setup(t, Options{})
	b.mustAppend(t, newPredictions(0, 2)...)
	b.db.refuse = func(p predict.Prediction) error {
		if p.ID == newPrediction(0).ID {
			return failure.Errorf(failure.Invalid, "a value cannot be stored")
		}
		return nil
	}
	matches, err := b.RecordOutcomes(t.Context(), []predict.Outcome{outcomeOf(newPrediction(0).ID), outcomeOf(newPrediction(1).ID)})
	if err != nil || matches[0].Found || !matches[1].Found {
		t.Errorf("got %+v, %v; want its neighbour to match", matches, err)
	}
}

func TestOutcomesFailWhileTheDatabaseIsDownAndNothingIsKept(t *testing.T) {
	b := setup(t, Options{})
	b.mustAppend(t, newPrediction(0))
	b.db.Fail(errDown)
	if _, err := b.RecordOutcomes(t.Context(), []predict.Outcome{outcomeOf(newPrediction(0).ID)}); !errors.Is(err, errDown) {
		t.Fatalf("got %v, want the database's error", err)
	}
	b.db.Fail(nil)
	matches, err := b.RecordOutcomes(t.Context(), []predict.Outcome{outcomeOf(newPrediction(0).ID)})
	if err != nil || !matches[0].Found || matches[0].Duplicate {
		t.Errorf("sent again: %+v, %v; want it to be new", matches, err)
	}
}

// TestAnotherGatewaysPredictionIsWaitedFor has two outboxes on one database.
func TestAnotherGatewaysPredictionIsWaitedFor(t *testing.T) {
	// A prediction that is made now by the clock of the test.
	made := func() predict.Prediction {
		p := newPrediction(0)
		p.ID, p.CreatedAt = failure.NewID(), time.Now()
		return p
	}
	tests := []struct {
		name    string
		shared  bool
		after   time.Duration // the outcome comes so long after the prediction
		drained time.Duration // and the prediction so long after that; 0: never
		given   time.Duration // the caller's time
		byName  bool          // the outcome names the customer
		found   bool
		took    time.Duration // at most
		err     error
	}{
		{"it is drained in time", true, 0, time.Second, 10 * time.Second, false, true, 2 * time.Second, nil},
		{"it never comes", true, 0, 0, 10 * time.Second, false, false, unknownAge + maxLook, nil},
		{"it is too old to wait for", true, unknownAge + time.Second, time.Second, 10 * time.Second, false, false, 0, nil},
		{"no gateway shares the database", false, 0, time.Second, 10 * time.Second, false, false, 0, nil},
		{"the caller has less time", true, 0, 2 * time.Second, time.Second, false, false, time.Second, context.DeadlineExceeded},
		{"a newcomer, by customer", true, 0, unknownCustomerTime / 2, 10 * time.Second, true, true, unknownCustomerTime, nil},
		{"an unknown customer", true, 0, 0, 10 * time.Second, true, false, unknownCustomerTime + maxLook, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// A bubble begins in 2000, and ids never go back in time.
				time.Sleep(time.Until(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)))
				ours := setup(t, Options{Shared: tt.shared})
				theirs := openBench(t, t.TempDir(), ours.db, Options{Shared: true})
				known, p := newPrediction(1), made()
				if tt.byName {
					p.CustomerID = "newcomer"
				}
				ours.mustAppend(t, known)
				theirs.mustAppend(t, p)
				time.Sleep(tt.after)
				if tt.drained > 0 {
					time.AfterFunc(tt.drained, func() { theirs.mustDrain(t) })
				}
				ctx, cancel := context.WithTimeout(t.Context(), tt.given)
				defer cancel()
				outcome := outcomeOf(p.ID)
				if tt.byName {
					outcome = predict.Outcome{CustomerID: p.CustomerID, Label: 1, ObservedAt: noon}
				}
				start := time.Now()
				matches, err := ours.RecordOutcomes(ctx, []predict.Outcome{outcome, outcomeOf(known.ID)})
				if took := time.Since(start); took > tt.took {
					t.Errorf("it took %v, want at most %v", took, tt.took)
				}
				if !errors.Is(err, tt.err) {
					t.Fatalf("got %v, want %v", err, tt.err)
				}
				if err == nil && (matches[0].Found != tt.found || !matches[1].Found || matches[1].Duplicate) {
					t.Errorf("got %+v, want found: %v, and its neighbour in any case", matches, tt.found)
				}
				time.Sleep(time.Hour) // what was to be drained later
			})
		})
	}
}

func TestRecentPredictionsAreThoseThatWait(t *testing.T) {
	b := setup(t, Options{MaxBytes: MinBytes}) // so that there are several segments
	all := newPredictions(0, 2000)
	for i := range all {
		all[i].Model = []string{"champion", "challenger"}[i%2]
	}
	for i := 0; i < len(all); i += 100 {
		b.mustAppend(t, all[i:i+100]...)
	}
	ask := func(model string, limit, look int, want ...int) {
		t.Helper()
		found, err := b.Recent(model, limit, look)
		if err != nil || len(found) != len(want) {
			t.Fatalf("found %d (%v), want %d", len(found), err, len(want))
		}
		for i, w := range want {
			if !reflect.DeepEqual(found[i], all[w]) {
				t.Errorf("the %d. is %+v, want %+v", i, found[i], all[w])
			}
		}
	}
	ask("champion", 3, 2000, 1998, 1996, 1994)
	ask("challenger", 3, 2000, 1999, 1997, 1995)
	ask("champion", 3, 4, 1998, 1996)
	ask("nobody", 3, 2000)
	if found, err := b.Recent("champion", 1500, 5000); err != nil || len(found) != 1000 {
		t.Errorf("found %d (%v) of all, want 1000", len(found), err)
	}
	if err := b.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask("champion", 3, 2000)
}
