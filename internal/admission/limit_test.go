package admission_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"gateway/internal/admission"
	"gateway/internal/failure"
)

const small = 600 // bytes of a prediction

func newLimit(o admission.Options) *admission.Limit {
	return admission.NewLimit(o, prometheus.NewRegistry())
}

// fill takes places until there is none for this caller.
func fill(t *testing.T, l *admission.Limit, key string) (held []*admission.Permit) {
	t.Helper()
	for {
		p, err := l.Enter(key, admission.Prediction, small)
		if err != nil {
			wantUnavailable(t, err)
			return held
		}
		held = append(held, &p)
	}
}

func wantUnavailable(t *testing.T, err error) *failure.Error {
	t.Helper()
	var e *failure.Error
	if !errors.As(err, &e) || e.Kind != failure.Unavailable || e.RetryAfter <= 0 || e.Throttled {
		t.Fatalf("got %v, want an Error of kind Unavailable that says when to come back", err)
	}
	return e
}

func TestPlacesAreGivenOutAndBack(t *testing.T) {
	l := newLimit(admission.Options{Floor: 64, Ceiling: 64})
	held := fill(t, l, "")
	if len(held) != 64 || l.Status().InUse != 64 {
		t.Fatalf("%d places of 64, %+v", len(held), l.Status())
	}
	wantUnavailable(t, l.Check("", admission.Prediction))
	held[0].Leave()
	held[0].Leave() // counts once
	if err := l.Check("", admission.Prediction); err != nil || l.Status().InUse != 63 {
		t.Errorf("got %v, %+v", err, l.Status())
	}
	if again := fill(t, l, ""); len(again) != 1 {
		t.Errorf("%d places after one was given back", len(again))
	}
	var none admission.Permit
	none.Leave()
	if none.Held() || held[0].Held() || !held[1].Held() {
		t.Error("who holds a place is mistaken")
	}
}

func TestALargeBodyTakesSeveralPlaces(t *testing.T) {
	l := newLimit(admission.Options{Floor: 64, Ceiling: 64})
	p, err := l.Enter("", admission.Prediction, 40<<10)
	if err != nil || l.Status().InUse != 11 {
		t.Fatalf("got %v, %+v", err, l.Status())
	}
	p.Leave()
	if l.Status().InUse != 0 {
		t.Errorf("%+v", l.Status())
	}
	// The largest body is not shut out for good.
	if p, err = l.Enter("", admission.Prediction, 1<<30); err != nil || l.Status().InUse > 64/2 {
		t.Errorf("got %v, %+v", err, l.Status())
	}
	p.Leave()
}

// TestAKeyThatFloodsLeavesPlacesToTheOthers is what a noisy neighbour may do.
func TestAKeyThatFloodsLeavesPlacesToTheOthers(t *testing.T) {
	l := newLimit(admission.Options{Floor: 64, Ceiling: 64})
	flood := fill(t, l, "flood")
	if len(flood) != 56 {
		t.Fatalf("a key alone takes %d places of 64", len(flood))
	}
	for range 100 { // it goes on asking
		_, err := l.Enter("flood", admission.Prediction, small)
		if e := wantUnavailable(t, err); !strings.Contains(e.Detail, "share") {
			t.Fatalf("got %v", e)
		}
	}
	quiet := fill(t, l, "quiet")
	if len(quiet) != 8 {
		t.Fatalf("another key finds %d places", len(quiet))
	}
	// What the one gives back goes to the other, until each has its share.
	for _, p := range flood {
		p.Leave()
		if _, err := l.Enter("flood", admission.Prediction, small); err == nil && len(quiet) < 32 {
			t.Fatalf("the key that floods took another place while the other has %d", len(quiet))
		}
		if more := fill(t, l, "quiet"); len(quiet) < 32 {
			quiet = append(quiet, more...)
		}
	}
	if len(quiet) != 32 {
		t.Errorf("the quiet key has %d of 64", len(quiet))
	}
}

func TestCallersWhoCannotBeToldApartAreOne(t *testing.T) {
	l := newLimit(admission.Options{Floor: 64, Ceiling: 64})
	if held := fill(t, l, ""); len(held) != 64 {
		t.Errorf("without keys %d places of 64 can be had", len(held))
	}
}

func TestCallersWhoHaveLeftCountNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit(admission.Options{})
		for _, key := range []string{"a", "b", "c"} {
			p, err := l.Enter(key, admission.Prediction, small)
			if err != nil {
				t.Fatal(err)
			}
			if key != "b" {
				p.Leave()
			}
		}
		if n := l.Status().Callers; n != 3 {
			t.Errorf("%d callers of 3", n)
		}
		time.Sleep(2 * time.Second)
		if n := l.Status().Callers; n != 1 { // b holds a place
			t.Errorf("%d callers of 1", n)
		}
	})
}

// queueIs is a Limit before a queue that is as the test says.
func queueIs(q *admission.Queue) *admission.Limit {
	return newLimit(admission.Options{MaxQueueWait: 500 * time.Millisecond, Queue: func() admission.Queue { return *q }})
}

// ask asks every few milliseconds for a while, and tells how many were let in.
func ask(l *admission.Limit, key string, class admission.Class, during time.Duration) (in, out int) {
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if p, err := l.Enter(key, class, small); err == nil {
			p.Leave()
			in++
		} else {
			out++
		}
	}
	return in, out
}

func TestABurstMayQueueAndAStandingQueueMayNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := admission.Queue{Call: 5 * time.Millisecond}
		l := queueIs(&q)
		ask(l, "", admission.Prediction, 50*time.Millisecond)
		q.Rows, q.Wait = 1000, 50*time.Millisecond
		if in, out := ask(l, "", admission.Prediction, 90*time.Millisecond); out > 0 || in < 40 {
			t.Errorf("of a burst %d were let in and %d were not", in, out)
		}
		if in, out := ask(l, "", admission.Prediction, time.Second); in > 10 || out < 450 {
			t.Errorf("with a standing queue %d were let in and %d were not", in, out)
		}
		if err := l.Check("", admission.Prediction); wantUnavailable(t, err).RetryAfter != q.Wait {
			t.Errorf("Retry-After is %v, and the queue takes %s", err, q.Wait)
		}
		if !l.Status().QueueFull || !l.Shedding() {
			t.Errorf("%+v, shedding %t", l.Status(), l.Shedding())
		}
		// Outcomes ask no model.
		if in, out := ask(l, "", admission.Outcome, 100*time.Millisecond); out > 0 || in < 45 {
			t.Errorf("of outcomes %d were let in and %d were not", in, out)
		}
		// Room in the queue is room at once.
		q.Wait = 4 * time.Millisecond
		if in, out := ask(l, "", admission.Prediction, 50*time.Millisecond); out > 0 || in < 20 {
			t.Errorf("with a short queue %d were let in and %d were not", in, out)
		}
		q.Rows, q.Wait = 0, 0
		ask(l, "", admission.Prediction, 2*time.Second)
		if l.Shedding() || l.Status().QueueFull {
			t.Errorf("%+v, shedding %t", l.Status(), l.Shedding())
		}
		// And the next burst may queue again.
		q.Rows, q.Wait = 1000, 50*time.Millisecond
		if in, out := ask(l, "", admission.Prediction, 50*time.Millisecond); out > 0 || in < 20 {
			t.Errorf("of the next burst %d were let in and %d were not", in, out)
		}
		// No request waits for longer than the maximum.
		q.Wait = 600 * time.Millisecond
		time.Sleep(2 * time.Millisecond)
		_, err := l.Enter("", admission.Prediction, small)
		wantUnavailable(t, err)
		wantUnavailable(t, l.Check("", admission.Prediction))
	})
}

// What single requests go before is no queue for them. A stream joins it.
func TestBehindManyRowsNoStreamBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := admission.Queue{Call: 5 * time.Millisecond, Rows: 4000, All: 600 * time.Millisecond}
		l := queueIs(&q)
		if in, out := ask(l, "", admission.Prediction, time.Second); out > 0 || in < 400 {
			t.Errorf("of predictions %d were let in and %d were not", in, out)
		}
		_, err := l.Open("", "a")
		if wait := wantUnavailable(t, err).RetryAfter; wait != q.All {
			t.Errorf("a stream is told to come again after %v, and the queue takes %v", wait, q.All)
		}
		wantUnavailable(t, l.Check("", admission.Stream))
		q.All = 400 * time.Millisecond
		time.Sleep(2 * time.Millisecond)
		stream, err := l.Open("", "a")
		if err != nil {
			t.Fatalf("behind a shorter one: %v", err)
		}
		stream.Close()
	})
}

func TestAShortStallMayBeWaitedOutAndALongOneMayNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := admission.Queue{Rows: 1000, Wait: 50 * time.Millisecond, Call: 5 * time.Millisecond}
		l := queueIs(&q)
		stall := func(key string, from, till time.Duration) (in, out int) {
			for q.StalledFor = from; q.StalledFor < till; q.StalledFor += 2 * time.Millisecond {
				i, o := ask(l, key, admission.Prediction, 2*time.Millisecond)
				in, out = in+i, out+o
			}
			return in, out
		}
		if in, out := stall("", 22*time.Millisecond, time.Second); out > 0 || in < 450 {
			t.Errorf("in a short stall %d were let in and %d were not", in, out)
		}
		time.Sleep(10 * time.Millisecond)
		if in, out := stall("", 1010*time.Millisecond, 2*time.Second); in > 0 || out < 450 {
			t.Errorf("in a long one %d were let in and %d were not", in, out)
		}
		if in, _ := stall("quiet", 1010*time.Millisecond, 2*time.Second); in > 0 {
			t.Errorf("who asks little was let in %d times", in)
		}
		if err := l.Check("", admission.Prediction); wantUnavailable(t, err).RetryAfter < time.Second {
			t.Errorf("Retry-After is %v", err)
		}
		if !l.Status().QueueFull {
			t.Errorf("%+v", l.Status())
		}
		if in, out := ask(l, "", admission.Outcome, 100*time.Millisecond); out > 0 || in < 45 {
			t.Errorf("of outcomes %d were let in and %d were not", in, out)
		}
		q = admission.Queue{Call: 5 * time.Millisecond}
		if in, out := ask(l, "", admission.Prediction, 100*time.Millisecond); out > 1 || in < 45 {
			t.Errorf("after it %d were let in and %d were not", in, out)
		}
		// Calls that take that long as a rule are no stall.
		q = admission.Queue{Call: 900 * time.Millisecond, StalledFor: 1700 * time.Millisecond}
		if in, out := ask(l, "", admission.Prediction, 100*time.Millisecond); out > 0 || in < 45 {
			t.Errorf("with slow calls %d were let in and %d were not", in, out)
		}
		// No request waits for the trial calls.
		q = admission.Queue{Call: 5 * time.Millisecond, Trial: true}
		if in, out := ask(l, "", admission.Prediction, 100*time.Millisecond); in > 0 || out < 45 {
			t.Errorf("behind probes %d were let in and %d were not", in, out)
		}
	})
}

// While this process does not run the queue is not observed, and nothing is
// answered.
func TestTimeInWhichTheProcessDoesNotRunIsNoOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := admission.Queue{Rows: 1000, Wait: 50 * time.Millisecond, Call: 5 * time.Millisecond}
		for stall := 50 * time.Millisecond; stall <= 300*time.Millisecond; stall += 10 * time.Millisecond {
			q := admission.Queue{Call: 5 * time.Millisecond}
			l := queueIs(&q)
			ask(l, "", admission.Prediction, 50*time.Millisecond)
			q = long
			ask(l, "", admission.Prediction, 10*time.Millisecond)
			time.Sleep(stall)
			if in, out := ask(l, "", admission.Prediction, 50*time.Millisecond); out > 0 || in < 20 {
				t.Errorf("after %s: %d were let in and %d were not", stall, in, out)
			}
			if in, out := ask(l, "", admission.Prediction, 500*time.Millisecond); in > 50 {
				t.Errorf("after %s with a standing queue: %d were let in and %d were not", stall, in, out)
			}
		}
		// Since before a stall of two seconds no call has ended: their answers are
		// there, and have not been read.
		q := admission.Queue{Rows: 1000, Call: 5 * time.Millisecond}
		l := queueIs(&q)
		ask(l, "", admission.Prediction, 50*time.Millisecond)
		time.Sleep(2 * time.Second)
		q.StalledFor = 2 * time.Second
		if in, out := ask(l, "", admission.Prediction, 50*time.Millisecond); out > 0 || in < 20 {
			t.Errorf("after two seconds: %d were let in and %d were not", in, out)
		}
		ask(l, "", admission.Prediction, 50*time.Millisecond)
		if in, out := ask(l, "", admission.Prediction, 50*time.Millisecond); in > 0 {
			t.Errorf("no call ends even so: %d were let in and %d were not", in, out)
		}
	})
}

func TestAStandingQueueIsNoTroubleOfThoseWhoAskLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := admission.Queue{Rows: 1000, Wait: 15 * time.Millisecond, Call: 5 * time.Millisecond}
		l := queueIs(&q)
		for range 20 {
			if _, err := l.Enter("flood", admission.Prediction, small); err != nil {
				t.Fatal(err)
			}
		}
		ask(l, "flood", admission.Prediction, 200*time.Millisecond)
		if in, out := ask(l, "flood", admission.Prediction, 100*time.Millisecond); in > 0 {
			t.Errorf("who made the queue was let in %d times, and refused %d", in, out)
		}
		if in, out := ask(l, "quiet", admission.Prediction, 100*time.Millisecond); out > 0 {
			t.Errorf("who asks little was let in %d times, and refused %d", in, out)
		}
		q.Wait = 25 * time.Millisecond // four times as long as it should be
		time.Sleep(2 * time.Millisecond)
		if in, out := ask(l, "quiet", admission.Prediction, 100*time.Millisecond); in > 0 {
			t.Errorf("with a queue that long it was let in %d times, and refused %d", in, out)
		}
	})
}

// TestTheLimitFallsWhereTheGatewayItselfIsSlow: without a queue that is known,
// the time of requests is all there is to go by.
func TestTheLimitFallsWhereTheGatewayItselfIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit(admission.Options{Floor: 16, Ceiling: 200})
		processors := make(chan struct{}, 2)
		serve := func(customers int, during time.Duration) (n int) {
			done := make(chan int)
			end := time.Now().Add(during)
			for range customers {
				go func() {
					served := 0
					for time.Now().Before(end) {
						p, err := l.Enter("", admission.Prediction, small)
						if err != nil {
							time.Sleep(10 * time.Millisecond)
							continue
						}
						processors <- struct{}{}
						time.Sleep(time.Millisecond)
						<-processors
						p.Leave()
						served++
					}
					done <- served
				}()
			}
			for range customers {
				n += <-done
			}
			return n
		}
		serve(2, 5*time.Second)
		if got := l.Status().Places; got < 190 {
			t.Errorf("after a quiet time there are %d places of 200", got)
		}
		served := serve(300, 10*time.Second)
		if got := l.Status().Places; got > 150 || got < 16 {
			t.Errorf("after ten seconds of too much there are %d places of 200", got)
		}
		if served < 19_000 { // of 20,000 that two processors can do
			t.Errorf("%d were served", served)
		}
		t.Logf("%d served, %+v", served, l.Status())
	})
}

func TestWhatIsShedIsCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	l := admission.NewLimit(admission.Options{Floor: 8, Ceiling: 8}, reg)
	held := fill(t, l, "one") // seven
	if _, err := l.Enter("two", admission.Prediction, small); err != nil {
		t.Fatal(err)
	}
	_, err := l.Enter("two", admission.Outcome, small)
	wantUnavailable(t, err)
	var first, second, third admission.Memory
	for _, m := range []*admission.Memory{&first, &second} {
		if err := l.Hold(m, "two", "two", admission.Prediction, 256<<20); m == &first && err != nil || m == &second && err == nil {
			t.Errorf("got %v", err)
		}
	}
	if err := l.Hold(&second, "three", "two", admission.Prediction, 256<<20); err != nil {
		t.Fatal(err)
	}
	wantUnavailable(t, l.Hold(&third, "four", "two", admission.Prediction, 1))
	want := `
# HELP gateway_limit_places_in_use Places that are taken. A large body takes several.
# TYPE gateway_limit_places_in_use gauge
gateway_limit_places_in_use 8
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "gateway_limit_places_in_use"); err != nil {
		t.Error(err)
	}
	sheds := counted(t, reg, "gateway_shed_total")
	for labels, n := range map[string]float64{"over_share prediction share": 1, "within_share outcome places": 1,
		"within_share prediction memory": 1, "within_share prediction memory_share": 1, "anonymous stream stall": 0} {
		if got, ok := sheds[labels]; !ok || got != n {
			t.Errorf("%s: %v (%v), want %v", labels, got, ok, n)
		}
		delete(sheds, labels)
	}
	for labels, n := range sheds {
		if n != 0 {
			t.Errorf("%s: %v", labels, n)
		}
	}
	for _, p := range held {
		p.Leave()
	}
	if faults, err := testutil.GatherAndLint(reg); err != nil || len(faults) > 0 {
		t.Errorf("%v, %v", faults, err)
	}
}

func BenchmarkLimit(b *testing.B) {
	l := admission.NewLimit(admission.Options{Queue: func() admission.Queue { return admission.Queue{} }}, prometheus.NewRegistry())
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Check("app", admission.Prediction); err != nil {
			b.Fatal(err)
		}
		p, err := l.Enter("app", admission.Prediction, small)
		if err != nil {
			b.Fatal(err)
		}
		p.Leave()
	}
}

// counted returns the values of a counter by the values of its labels.
func counted(t *testing.T, reg prometheus.Gatherer, name string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, family := range families {
		for _, series := range family.Metric {
			var values []string
			for _, l := range series.Label {
				values = append(values, l.GetValue())
			}
			if family.GetName() == name {
				all[strings.Join(values, " ")] = series.GetCounter().GetValue()
			}
		}
	}
	return all
}
