package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"gateway/internal/idempotency"
	"gateway/internal/predict"
)

// begunOrder tells in which order those who wait for a turn get it. Each of
// them asks once the one before waits.
func begunOrder(t *testing.T, turns *turns, asked []class) []class {
	t.Helper()
	var order []class
	synctest.Test(t, func(t *testing.T) {
		must(t, turns.begin(t.Context(), bulk))
		var mu sync.Mutex
		for _, c := range asked {
			go func() {
				if err := turns.begin(context.Background(), c); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, c)
				mu.Unlock()
				turns.end(c)
			}()
			synctest.Wait()
		}
		if len(order) > 0 {
			t.Errorf("%v began while the turn was taken", order)
		}
		turns.end(bulk)
		synctest.Wait()
	})
	return order
}

func oneTurn() *turns { return newTurns(1, [classes]int{1, 1, 1}) }

func TestTurnsGoByClass(t *testing.T) {
	got := begunOrder(t, oneTurn(), []class{bulk, lists, lists, urgent, bulk, urgent})
	want(t, "order", got, []class{urgent, urgent, lists, lists, bulk, bulk})
}

// Urgent work without end leaves the outbox one turn in nine.
func TestTurnsPassNoClassByForEver(t *testing.T) {
	asked := append([]class{bulk, bulk, lists}, slices.Repeat([]class{urgent}, 3*maxPasses)...)
	got := begunOrder(t, oneTurn(), asked)
	var at []int
	for i, c := range got {
		if c != urgent {
			at = append(at, i)
		}
	}
	want(t, "turns of later classes", at, []int{maxPasses, maxPasses + 1, 2*maxPasses + 1})
}

func TestTurnsOfOneClassLeaveRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(4, [classes]int{4, 1, 1})
		begun := make(map[class]int)
		var mu sync.Mutex
		for range 3 {
			for _, c := range []class{bulk, lists, urgent} {
				go func() {
					must(t, turns.begin(context.Background(), c))
					mu.Lock()
					begun[c]++
					mu.Unlock()
				}()
			}
			synctest.Wait()
		}
		want(t, "begun", begun, map[class]int{bulk: 1, lists: 1, urgent: 2})
		turns.end(urgent)
		synctest.Wait()
		want(t, "begun after one has ended", begun, map[class]int{bulk: 1, lists: 1, urgent: 3})
		turns.end(lists)
		turns.end(bulk)
		synctest.Wait()
		want(t, "begun after the others have ended", begun, map[class]int{bulk: 2, lists: 2, urgent: 3})
		turns.end(bulk)
		turns.end(lists)
		synctest.Wait()
	})
}

// A turn that comes to a context that has ended goes on to the next.
func TestTurnsOfThoseWhoHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := oneTurn()
		must(t, turns.begin(t.Context(), urgent))
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 2)
		for range 2 {
			go func() { left <- turns.begin(ctx, urgent) }()
		}
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-left; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
		}
		turns.end(urgent)
		must(t, turns.begin(t.Context(), bulk))
		turns.end(bulk)
		want(t, "taken", turns.taken, [classes]int{})
	})
}

// manyOutcomes are outcomes of customers that put has stored, or of unknown ones.
func manyOutcomes(prefix string, n, seconds int) []predict.Outcome {
	all := make([]predict.Outcome, n)
	for i := range all {
		all[i] = ofCustomer(fmt.Sprintf("%s-%d", prefix, i), 1, seconds)
	}
	return all
}

func putMany(t testing.TB, s *Line, prefix string, n int) {
	t.Helper()
	customers := make([]predict.Customer, n)
	for i := range customers {
		customers[i] = predict.Customer{ID: fmt.Sprintf("%s-%d", prefix, i), Features: []byte(`{}`)}
	}
	put(t, s, customers...)
}

// testUnknownOutcomes: a list that matches nothing does not wait for the
// writer, for it writes nothing.
func testUnknownOutcomes(t *testing.T, open opener) {
	s := open(t)
	tx := holdWriter(t, s)
	list := append(manyOutcomes("unknown", 1000, 0), ofPrediction("unknown", 1, 0), predict.Outcome{})
	for _, outcomes := range [][]predict.Outcome{list, list[:1], list[1000:1001]} {
		want(t, "matches", record(t, s, outcomes...), make([]predict.Match, len(outcomes)))
	}
	must(t, tx.Rollback())
	for _, w := range s.Writes() {
		if w.Begun > 0 {
			t.Errorf("%d transactions of class %s", w.Begun, w.Class)
		}
	}
}

// testListsInPieces: a call of many rows takes many small transactions, and one
// that is broken off in the middle counts once when it is sent again.
func testListsInPieces(t *testing.T, open opener) {
	const rows = 3*outcomesAtOnce + 1
	s := open(t)
	putMany(t, s, "c", rows)
	putMany(t, s, "d", rows)
	list := append(append(manyOutcomes("c", rows, 5), manyOutcomes("unknown", rows, 5)...), manyOutcomes("d", rows, 5)...)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	left := 3
	s.turns.watch = func(e turnEvent) {
		if e == (turnEvent{lists, "begun"}) {
			if left--; left == 0 {
				cancel()
			}
		}
	}
	if _, err := s.RecordOutcomes(ctx, list); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	s.turns.watch = nil
	want(t, "recorded before it was broken off", countRows(t, s, "outcomes"), 2*outcomesAtOnce)
	before := begunOf(s, lists)
	matches := record(t, s, list...)
	for i, m := range matches {
		known := i < rows || i >= 2*rows
		if m.Found != known || m.Duplicate != (i < 2*outcomesAtOnce) {
			t.Fatalf("outcome %d: got %+v", i, m)
		}
	}
	want(t, "outcomes", countRows(t, s, "outcomes"), 2*rows)
	want(t, "transactions", begunOf(s, lists)-before, int64((2*rows+outcomesAtOnce-1)/outcomesAtOnce))
	want(t, "newest outcome", newest(t, s), int64(2*rows))
}

func newest(t testing.TB, s *Line) int64 {
	t.Helper()
	n, err := s.NewestOutcome(t.Context())
	must(t, err)
	return n
}

func begunOf(s *Line, c class) int64 { return s.Writes()[c].Begun }

// testBulkInPieces: imports, the outbox and removals take small transactions.
func testBulkInPieces(t *testing.T, open opener) {
	ctx := t.Context()
	s := open(t)
	var events []turnEvent
	s.turns.watch = func(e turnEvent) { events = append(events, e) }
	pieces := func(what string, rows, atOnce int, more int, fn func()) {
		t.Helper()
		events = nil
		fn()
		n := 0
		for _, e := range events {
			if e.what == "begun" {
				n++
				if e.class != bulk {
					t.Errorf("%s: a transaction of class %s", what, e.class)
				}
			}
		}
		want(t, what, n, (rows+atOnce-1)/atOnce+more)
	}
	var demo []predict.Customer
	for i := range 200 {
		demo = append(demo, predict.Customer{ID: fmt.Sprintf("demo-%d", i), Features: []byte(`{}`), Demo: true})
	}
	pieces("import", 200, customersAtOnce, 0, func() { put(t, s, demo...) })

	var predictions []predict.Prediction
	for i := range 300 {
		predictions = append(predictions, predictionFor(fmt.Sprintf("p-%03d", i), "demo-0", at(i)))
	}
	pieces("append", 300, s.inserts.atOnce, 0, func() { must(t, s.Append(ctx, predictions)) })
	want(t, "predictions", countRows(t, s, "predictions"), 300)
	pieces("retention", 200, removedAtOnce, 0, func() {
		n, err := s.RemovePredictions(ctx, at(400), 200)
		must(t, err)
		want(t, "removed", n, int64(200))
	})

	for i := range 70 { // the outcomes of one customer are many as well
		record(t, s, ofCustomer("demo-0", i%2, i))
	}
	// One more finds that none is left, and two remove outcomes.
	pieces("demo", 200, removedAtOnce, 2, func() {
		n, err := s.RemoveDemo(ctx)
		must(t, err)
		want(t, "removed", n, int64(200))
	})
	want(t, "outcomes", countRows(t, s, "outcomes"), 0)

	large := strings.Repeat("x", removedBytes*2/5)
	for i := range 130 {
		c := claimOf(fmt.Sprint(i))
		c.ID, c.TTL = fmt.Sprint(i), -1
		claimKey(t, s, c)
		if i < 5 {
			_, err := s.AnswerKey(ctx, c.ID, c.Token, idempotency.Answer{Status: 200, Body: []byte(large)})
			must(t, err)
		}
	}
	// All expire at about the same time; those with an answer come first.
	pieces("keys", 126, removedAtOnce, 2, func() {
		n, err := s.RemoveExpiredKeys(ctx, 1000)
		must(t, err)
		want(t, "removed", n, 130)
	})
}

// testUrgentBesideLists sends lists, imports and predictions as fast as it can,
// and looks at what single outcomes and idempotency keys wait for.
func testUrgentBesideLists(t *testing.T, open opener) {
	const writers, rows, calls = 4, 100, 5
	s := open(t)
	ctx := t.Context()
	putMany(t, s, "c", rows)
	put(t, s, predict.Customer{ID: "single", Features: []byte(`{}`)})

	var asked []map[class]int // for each urgent transaction that waits: what has begun since, by class
	worst := make(map[class]int)
	s.turns.watch = func(e turnEvent) {
		switch {
		case e.what == "asked" && e.class == urgent:
			asked = append(asked, make(map[class]int))
		case e.what == "begun" && e.class == urgent:
			for c, n := range asked[0] {
				worst[c] = max(worst[c], n)
			}
			asked = asked[1:]
		case e.what == "begun":
			for _, since := range asked {
				since[e.class]++
			}
		}
	}
	var all, load sync.WaitGroup
	stop := make(chan struct{})
	for w := range writers {
		load.Go(func() {
			for i := range calls {
				record(t, s, append(manyOutcomes("c", rows, 10*i+w), manyOutcomes("unknown", rows, 0)...)...)
			}
		})
	}
	load.Go(func() {
		for range calls {
			putMany(t, s, "imported", 2*customersAtOnce)
		}
	})
	load.Go(func() {
		for i := range calls {
			var predictions []predict.Prediction
			for k := range 100 {
				predictions = append(predictions, newPrediction(fmt.Sprintf("p-%d-%d", i, k)))
			}
			if err := s.Append(ctx, predictions); err != nil {
				t.Error(err)
			}
		}
	})
	urgentWork := func(fn func(i int)) {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					fn(i)
				}
			}
		})
	}
	urgentWork(func(i int) { record(t, s, ofCustomer("single", i%2, i)) })
	urgentWork(func(i int) {
		c := claimOf(fmt.Sprint("token", i))
		c.ID = fmt.Sprint("key", i)
		if _, err := s.ClaimKey(ctx, c); err != nil {
			t.Error(err)
		}
		if stored, err := s.AnswerKey(ctx, c.ID, c.Token, idempotency.Answer{Status: 200, Body: []byte("{}")}); !stored || err != nil {
			t.Errorf("AnswerKey: stored %v, error %v", stored, err)
		}
	})
	load.Wait()
	close(stop)
	all.Wait()
	t.Logf("%d urgent transactions, %d of lists, %d of bulk; the most that began before an urgent one: %v",
		begunOf(s, urgent), begunOf(s, lists), begunOf(s, bulk), worst)
	for c, n := range worst {
		if n > 1 { // the one that was passed by too often
			t.Errorf("an urgent transaction waited for %d later ones of class %s", n, c)
		}
	}
	if n := begunOf(s, lists); n < writers*calls*rows/outcomesAtOnce {
		t.Errorf("only %d transactions for lists", n)
	}
}
