package scoring_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/scoring"
)

func TestARequestOfManyRowsIsSplitAndJoinedInOrder(t *testing.T) {
	onGate(t, scoring.BatchOptions{MaxRows: 4, MaxCalls: 4}, func(t *testing.T, b *gated) {
		a := b.ask(t.Context(), vectors(sequence(0, 10)...))
		for _, i := range []int{2, 0, 1} { // in any order
			b.call(t, i).ok()
		}
		a.wants(t, sequence(0, 10)...)
		if a.scores.Errors != nil || a.scores.Model != "m" || a.scores.Schema != "s" {
			t.Errorf("got %+v", a.scores)
		}
		if diff := cmp.Diff([]int{0, 1, 0, 1, 0, 1, 0, 1, 0, 1}, a.scores.Label); diff != "" {
			t.Errorf("labels (-want +got):\n%s", diff)
		}
	})
}

func TestAllScoresOfARequestAreOfOneModel(t *testing.T) {
	onGate(t, scoring.BatchOptions{MaxRows: 2, MaxCalls: 4}, func(t *testing.T, b *gated) {
		a := b.ask(t.Context(), vectors(sequence(0, 6)...))
		b.with(t, 0).as("old")
		b.with(t, 2).as("new")
		b.with(t, 4).as("new")
		again := b.call(t, 3)
		if got := again.firsts(); !slices.Equal(got, []float64{0, 1}) {
			t.Errorf("asked again: %v", got)
		}
		again.as("new")
		a.wants(t, sequence(0, 6)...)
		if a.scores.Model != "new" || a.scores.Errors != nil {
			t.Errorf("got %+v", a.scores)
		}
	})
}

func TestModelsThatNeverAgreeCostTheRowsOfTheFewerPart(t *testing.T) {
	onGate(t, scoring.BatchOptions{MaxRows: 2, MaxCalls: 4}, func(t *testing.T, b *gated) {
		a := b.ask(t.Context(), vectors(sequence(0, 6)...))
		b.with(t, 0).as("other")
		b.with(t, 2).as("main")
		b.with(t, 4).as("main")
		for i := range 4 {
			b.call(t, 3+i).as("other")
		}
		<-a.done
		if b.count() != 7 {
			t.Errorf("%d calls", b.count())
		}
		if a.err != nil || a.scores.Model != "main" || !slices.Equal(a.scores.Score[2:], sequence(2, 4)) {
			t.Fatalf("got %+v, %v", a.scores, a.err)
		}
		for i, err := range a.scores.Errors {
			var e *failure.Error
			if bad := i < 2; bad != (errors.As(err, &e) && e.Kind == failure.Unavailable) || !bad && err != nil {
				t.Errorf("row %d: %v", i, err)
			}
		}
	})
}

// slowRows teaches a Batch that calls cost 10 ms a row and nothing else. It returns
// how many calls there were.
func slowRows(t *testing.T, b *gated) int {
	const calls = 12
	for i := range calls {
		n := 1 + i%4
		a := b.ask(t.Context(), vectors(sequence(0, n)...))
		time.Sleep(time.Duration(n) * 10 * time.Millisecond)
		b.call(t, i).ok()
		a.wants(t, sequence(0, n)...)
	}
	return calls
}

// cutForItsCost asks about 20 rows, from 100 on, of 10 ms each. Of the four calls
// that they are, an old model answers three and a new one the last; again is the
// call that is made then.
func cutForItsCost(t *testing.T, b *gated) (a *request, again *held) {
	t.Helper()
	before := slowRows(t, b)
	a = b.ask(t.Context(), vectors(sequence(100, 20)...))
	if n := b.count() - before; n != 4 {
		t.Fatalf("20 rows of 10 ms each are %d calls, want one for each slot", n)
	}
	for _, first := range []float64{100, 105, 110} {
		b.with(t, first).as("old")
	}
	b.with(t, 115).as("new")
	return a, b.call(t, before+4)
}

func TestWhatWasCutForItsCostIsOfOneModelToo(t *testing.T) {
	onGate(t, scoring.BatchOptions{MaxCalls: 4}, func(t *testing.T, b *gated) {
		a, again := cutForItsCost(t, b)
		if got := again.firsts(); !slices.Equal(got, sequence(100, 20)) {
			t.Errorf("asked again, in one call: %v", got)
		}
		again.as("new")
		a.wants(t, sequence(100, 20)...)
		if a.scores.Model != "new" || a.scores.Errors != nil {
			t.Errorf("got %+v", a.scores)
		}
	})
}

func TestAskingAgainInVainCostsNoRowItsScore(t *testing.T) {
	onGate(t, scoring.BatchOptions{MaxCalls: 4}, func(t *testing.T, b *gated) {
		a, again := cutForItsCost(t, b)
		before := b.count()
		again.fail(&failure.Error{Kind: failure.Unavailable, Detail: "throttled"})
		<-a.done
		if a.err != nil || a.scores.Model != "old" || !slices.Equal(a.scores.Score[:15], sequence(100, 15)) {
			t.Fatalf("got %+v, %v", a.scores, a.err)
		}
		for i, err := range a.scores.Errors {
			if bad := i >= 15; bad != (err != nil) {
				t.Errorf("row %d: %v", i, err)
			}
		}
		if n := b.count() - before; n != 0 {
			t.Errorf("%d calls more: who is refused does not insist", n)
		}
	})
}

func TestAPartThatFailsLeavesTheOthers(t *testing.T) {
	onGate(t, scoring.BatchOptions{MaxRows: 2, MaxCalls: 4}, func(t *testing.T, b *gated) {
		a := b.ask(t.Context(), vectors(sequence(0, 6)...))
		busy := &failure.Error{Kind: failure.Unavailable, Detail: "throttled"}
		b.with(t, 0).ok()
		b.with(t, 2).fail(busy)
		b.with(t, 4).ok()
		<-a.done
		want := []error{nil, nil, busy, busy, nil, nil}
		if a.err != nil || !slices.Equal(a.scores.Errors, want) || !slices.Equal(a.scores.Score, []float64{0, 1, 0, 0, 4, 5}) {
			t.Errorf("got %+v, %v", a.scores, a.err)
		}
		if !errors.Is(a.scores.Err(), busy) {
			t.Errorf("Err is %v", a.scores.Err())
		}
		none := b.ask(t.Context(), vectors(sequence(0, 3)...))
		b.call(t, 3).fail(busy)
		b.call(t, 4).fail(busy)
		none.fails(t, failure.Unavailable)
	})
}

func TestSmallRequestsGoBeforeLargeOnesWhichGetEveryFourthCall(t *testing.T) {
	onGate(t, scoring.BatchOptions{MaxRows: 20}, func(t *testing.T, b *gated) {
		b.ask(t.Context(), vectors(0))
		for i := range 2 {
			b.ask(t.Context(), vectors(sequence(float64(1000*(i+1)), 20)...))
		}
		for i := range 7 {
			b.ask(t.Context(), vectors(sequence(float64(20*i), 15)...)) // two do not fit in a call
		}
		var got []float64
		for i := range 10 {
			got = append(got, b.call(t, i).rows[0][0])
			b.call(t, i).ok()
		}
		if diff := cmp.Diff([]float64{0, 0, 20, 40, 1000, 60, 80, 100, 2000, 120}, got); diff != "" {
			t.Errorf("first rows of calls (-want +got):\n%s", diff)
		}
	})
}

// A single row that shares its call with ten others where each takes its time
// would wait for all of them.
func TestACallOfSmallRequestsIsNotFilledUpWhereRowsCost(t *testing.T) {
	onGate(t, scoring.BatchOptions{}, func(t *testing.T, b *gated) {
		calls := 0
		for range 4 { // 2 ms a call and 5 ms a row
			for _, rows := range []int{1, 10} {
				b.ask(t.Context(), vectors(sequence(0, rows)...))
				time.Sleep(time.Duration(2+5*rows) * time.Millisecond)
				b.call(t, calls).ok()
				calls++
			}
		}
		b.ask(t.Context(), vectors(0))
		large := b.ask(t.Context(), vectors(sequence(100, 20)...))
		b.call(t, calls).ok()
		b.call(t, calls+1).ok()      // eight of its rows
		second := b.call(t, calls+2) // and eight more
		single := b.ask(t.Context(), vectors(7))
		second.ok()
		calls += 3
		if diff := cmp.Diff([]float64{7}, b.call(t, calls).firsts()); diff != "" {
			t.Errorf("the call of a single row has (-want +got):\n%s", diff)
		}
		b.call(t, calls).ok()
		single.wants(t, 7)
		b.call(t, calls+1).ok()
		large.wants(t, sequence(100, 20)...)
	})
}

func TestRequestsWithExplainShareCallsOnlyWithTheirKind(t *testing.T) {
	onGate(t, scoring.BatchOptions{}, func(t *testing.T, b *gated) {
		b.ask(t.Context(), vectors(0))
		var all []*request
		for i, explain := range []bool{false, true, false, true} {
			time.Sleep(time.Millisecond)
			all = append(all, b.send(t.Context(), vectors(float64(i+1)), explain))
		}
		b.call(t, 0).ok()
		for i, want := range [][]float64{{1, 3}, {2, 4}} {
			c := b.call(t, i+1)
			if !slices.Equal(c.firsts(), want) || c.explain != (i == 1) {
				t.Errorf("call %d has %v, explain %v", i+1, c.firsts(), c.explain)
			}
			c.ok()
		}
		for i, a := range all {
			a.wants(t, float64(i+1))
			if explained := a.scores.Contributions != nil; explained != (i%2 == 1) || explained && (a.scores.Contributions[0][0] != float64(i+1) || a.scores.Base != base) {
				t.Errorf("request %d has contributions %v", i, a.scores.Contributions)
			}
		}
	})
}

// partlyExplained explains the rows below 3.
type partlyExplained struct{}

func (partlyExplained) Score(_ context.Context, rows []schema.Vector, _ bool) (predict.Scores, error) {
	out := predict.Scores{Model: "m1", Schema: "s1", Score: make([]float64, len(rows)), Label: make([]int, len(rows)),
		Contributions: make([][]float64, len(rows)), Base: base}
	for i, row := range rows {
		if row[0] < 3 {
			out.Contributions[i] = []float64{row[0]}
		} else {
			out.Unexplained = "three is too much"
		}
	}
	return out, nil
}

func TestPartsOfARequestKeepTheirReasons(t *testing.T) {
	b := scoring.NewBatch(partlyExplained{}, scoring.BatchOptions{MaxRows: 2}, prometheus.NewRegistry())
	got, err := b.Score(t.Context(), vectors(1, 2, 3, 4, 1), true)
	if err != nil {
		t.Fatal(err)
	}
	want := predict.Scores{Model: "m1", Schema: "s1", Score: make([]float64, 5), Label: make([]int, 5),
		Contributions: [][]float64{{1}, {2}, nil, nil, {1}}, Base: base, Unexplained: "three is too much"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scores (-want +got):\n%s", diff)
	}
}

func TestStopAnswersWhatItHasAndRefusesTheRest(t *testing.T) {
	onGate(t, scoring.BatchOptions{}, func(t *testing.T, b *gated) {
		first, second := b.ask(t.Context(), vectors(1)), b.ask(t.Context(), vectors(2))
		stopped := make(chan error, 1)
		go func() { stopped <- b.Stop(t.Context()) }()
		synctest.Wait()
		if e := b.ask(t.Context(), vectors(3)).fails(t, failure.Unavailable); e.RetryAfter == 0 {
			t.Error("it does not say when to come back")
		}
		b.call(t, 0).ok()
		first.wants(t, 1)
		select {
		case err := <-stopped:
			t.Fatalf("stopped (%v), and a request waits", err)
		default:
		}
		b.call(t, 1).ok()
		second.wants(t, 2)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if err := b.Stop(t.Context()); err != nil {
			t.Errorf("the second time: %v", err)
		}
	})
}

func TestStopCutsOffWhatTakesTooLong(t *testing.T) {
	onGate(t, scoring.BatchOptions{Timeout: time.Minute}, func(t *testing.T, b *gated) {
		b.ask(t.Context(), vectors(1))
		second, third := b.ask(t.Context(), vectors(2)), b.ask(t.Context(), vectors(3))
		b.call(t, 0).ok()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		second.fails(t, failure.Deadline)
		third.fails(t, failure.Deadline)
	})
}

func TestASharedCallCanBeLinkedToItsRequests(t *testing.T) {
	var linked []any
	link := func(call context.Context, requests []context.Context) context.Context {
		for _, r := range requests {
			linked = append(linked, r.Value(key{}))
		}
		return context.WithValue(call, key{}, "shared")
	}
	onGate(t, scoring.BatchOptions{Link: link}, func(t *testing.T, b *gated) {
		var all []*request
		for i := range 3 {
			all = append(all, b.ask(context.WithValue(t.Context(), key{}, i), vectors(float64(i))))
		}
		b.call(t, 0).ok()
		if got := b.call(t, 1).ctx.Value(key{}); got != "shared" || !slices.Equal(linked, []any{1, 2}) {
			t.Errorf("the call has %v, linked to %v", got, linked)
		}
		b.call(t, 1).ok()
		for i, a := range all {
			a.wants(t, float64(i))
		}
	})
}

func TestAPanicOfTheScorerIsAnErrorOfItsRequests(t *testing.T) {
	onGate(t, scoring.BatchOptions{}, func(t *testing.T, b *gated) {
		all := []*request{b.ask(t.Context(), vectors(1)), b.ask(t.Context(), vectors(2)), b.ask(t.Context(), vectors(3))}
		for i := range 2 {
			b.call(t, i).answer <- func(*predict.Scores) error { panic("a bug") }
		}
		for _, a := range all {
			if <-a.done; a.err == nil || !strings.Contains(a.err.Error(), "panicked: a bug") {
				t.Errorf("got %v", a.err)
			}
		}
		synctest.Wait() // the slot is given back after the answers
		if s := b.Status(); s.InFlight != 0 {
			t.Errorf("status is %+v", s)
		}
	})
}

func TestNoRowsAreNoCall(t *testing.T) {
	onGate(t, scoring.BatchOptions{}, func(t *testing.T, b *gated) {
		a := b.ask(t.Context(), nil)
		a.wants(t)
		if b.count() != 0 {
			t.Errorf("%d calls", b.count())
		}
	})
}

func TestTwoBatchesHaveMetricsSideBySide(t *testing.T) {
	reg := prometheus.NewRegistry()
	for _, variant := range []string{"a", "b"} {
		scoring.NewBatch(&gate{}, scoring.BatchOptions{}, prometheus.WrapRegistererWith(prometheus.Labels{"variant": variant}, reg))
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestASharedCallIsNotMadeWhereAllHaveLeftBeforeItBegins(t *testing.T) {
	var leave func()
	link := func(call context.Context, _ []context.Context) context.Context {
		leave() // between the cut and the call
		return call
	}
	onGate(t, scoring.BatchOptions{Link: link}, func(t *testing.T, b *gated) {
		first := b.ask(t.Context(), vectors(1))
		second, third := b.ask(t.Context(), vectors(2)), b.ask(t.Context(), vectors(3))
		leave = func() {
			for _, a := range []*request{second, third} {
				a.cancel()
				<-a.done
			}
		}
		b.call(t, 0).ok()
		first.wants(t, 1)
		for _, a := range []*request{second, third} {
			if <-a.done; !errors.Is(a.err, context.Canceled) {
				t.Errorf("who has left got %v", a.err)
			}
		}
		if n := b.count(); n != 1 {
			t.Errorf("%d calls were made, want the first alone", n)
		}
		last := b.ask(t.Context(), vectors(4)) // the slot is free again
		b.call(t, 1).ok()
		last.wants(t, 4)
	})
}
