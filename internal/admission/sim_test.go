package admission_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/admission"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/scoring"
)

// endpoint is a model behind servers that each answer one call at a time; the
// rest waits. Calls hang while it is stalled.
type endpoint struct {
	servers chan struct{}
	base    time.Duration // of a call
	perRow  time.Duration

	mu    sync.Mutex
	thaw  chan struct{} // nil: not stalled
	calls int
}

func newEndpoint(servers int, base time.Duration) *endpoint {
	return &endpoint{servers: make(chan struct{}, servers), base: base}
}

func (e *endpoint) Score(ctx context.Context, rows []schema.Vector, _ bool) (predict.Scores, error) {
	e.mu.Lock()
	e.calls++
	thaw := e.thaw
	e.mu.Unlock()
	late := func() (predict.Scores, error) {
		return predict.Scores{}, &failure.Error{Kind: failure.Deadline, Detail: "the endpoint did not answer in time", Err: ctx.Err()}
	}
	if thaw != nil {
		select {
		case <-thaw:
		case <-ctx.Done():
			return late()
		}
	}
	select {
	case e.servers <- struct{}{}:
	case <-ctx.Done():
		return late()
	}
	defer func() { <-e.servers }()
	select {
	case <-time.After(e.base + time.Duration(len(rows))*e.perRow):
	case <-ctx.Done():
		return late()
	}
	return scores(len(rows)), nil
}

func (e *endpoint) Ready(context.Context) error { return nil }
func (e *endpoint) Updating() bool              { return false }

func scores(rows int) predict.Scores {
	return predict.Scores{Model: "m", Score: slices.Repeat([]float64{.5}, rows), Label: make([]int, rows)}
}

func (e *endpoint) stall(during time.Duration) {
	thaw := make(chan struct{})
	e.mu.Lock()
	e.thaw = thaw
	e.mu.Unlock()
	time.Sleep(during)
	e.mu.Lock()
	e.thaw = nil
	e.mu.Unlock()
	close(thaw)
}

func (e *endpoint) callsMade() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls
}

// gate is a gateway in small: the limit, the queue, the breaker, the endpoint.
type gate struct {
	t        *testing.T
	endpoint *endpoint
	limit    *admission.Limit
	remote   *scoring.Chain
	timeout  time.Duration
}

func newGate(t *testing.T, e *endpoint, maxRows int, o admission.Options) *gate {
	g := &gate{t: t, endpoint: e, timeout: 2 * time.Second}
	reg := prometheus.NewRegistry()
	g.remote = scoring.Remote(e, scoring.Options{Timeout: g.timeout, Batch: scoring.BatchOptions{MaxRows: maxRows}}, reg)
	o.Queue = func() admission.Queue {
		s := g.remote.Status()
		return admission.Queue{Rows: s.Queued, Wait: s.Wait, All: s.All, Call: s.Latency, StalledFor: s.Still, Trial: s.Trial}
	}
	g.limit = admission.NewLimit(o, reg)
	return g
}

// ask is one request for one row.
func (g *gate) ask(key string) (took time.Duration, err error) { return g.list(key, 1) }

// list is one request with a number of rows.
func (g *gate) list(key string, rows int) (took time.Duration, err error) {
	began := time.Now()
	place, err := g.limit.Enter(key, admission.Prediction, 600*rows)
	if err == nil {
		defer place.Leave()
		ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
		defer cancel()
		_, err = g.remote.Score(ctx, slices.Repeat([]schema.Vector{{1}}, rows), false)
	}
	return time.Since(began), err
}

// tally is what callers saw.
type tally struct {
	mu       sync.Mutex
	answered []time.Duration
	refused  map[string]int
	slowNo   time.Duration // the slowest refusal
	late     int           // refusals that took longer than a call
}

func (a *tally) add(took time.Duration, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.answered = append(a.answered, took)
		return
	}
	if a.refused == nil {
		a.refused = make(map[string]int)
	}
	a.refused[err.Error()]++
	a.slowNo = max(a.slowNo, took)
	if took > 10*time.Millisecond {
		a.late++
	}
}

func (a *tally) p99() time.Duration { return a.percentile(99) }

func (a *tally) percentile(p int) time.Duration {
	slices.Sort(a.answered)
	return a.answered[len(a.answered)*p/100]
}

func (a *tally) turnedAway() (n int) {
	for _, count := range a.refused {
		n += count
	}
	return n
}

// closed lets customers ask, each again as soon as it has its answer.
func (g *gate) closed(key string, customers int, during time.Duration) *tally {
	var all sync.WaitGroup
	out := &tally{}
	end := time.Now().Add(during)
	for range customers {
		all.Go(func() {
			for time.Now().Before(end) {
				took, err := g.ask(key)
				out.add(took, err)
				if err != nil {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	all.Wait()
	return out
}

// open lets requests come at a rate, at random times, whatever becomes of them.
func (g *gate) open(key string, perSecond float64, during time.Duration) *tally {
	random := rand.New(rand.NewPCG(1, 2))
	var all sync.WaitGroup
	out := &tally{}
	for end := time.Now().Add(during); time.Now().Before(end); {
		time.Sleep(time.Duration(random.ExpFloat64() / perSecond * float64(time.Second)))
		all.Go(func() { out.add(g.ask(key)) })
	}
	all.Wait()
	return out
}

// TestASmallEndpointIsNotThrottledByTheLimit: 256 connections at an endpoint of
// four calls at a time make long waits for slots, and rows that are worth them.
// The limit must not take that for overload.
func TestASmallEndpointIsNotThrottledByTheLimit(t *testing.T) {
	for _, customers := range []int{64, 256} {
		synctest.Test(t, func(t *testing.T) {
			const direct = 4 / 0.005
			g := newGate(t, newEndpoint(4, 5*time.Millisecond), 256, admission.Options{})
			g.closed("", 1, 500*time.Millisecond) // a quiet time before
			g.closed("", customers, 500*time.Millisecond)
			got := g.closed("", customers, time.Second)
			times := float64(len(got.answered)) / direct
			t.Logf("%d customers: %.1f times direct, %d refused, limit %+v, batch %+v", customers, times, got.turnedAway(), g.limit.Status(), g.remote.Status())
			if places := g.limit.Status().Places; places < 900 {
				t.Errorf("the limit has sunk to %d places", places)
			}
			if want := 0.45 * float64(customers) / 4; times < want || got.turnedAway() > 0 {
				t.Errorf("%.1f times as many as directly, want %.0f; %v", times, want, got.refused)
			}
		})
	}
}

// TestOverloadKeepsGoodputAndTimes offers four times what the endpoint can do.
func TestOverloadKeepsGoodputAndTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const capacity = 4 * 4 / 0.010
		g := newGate(t, newEndpoint(4, 10*time.Millisecond), 4, admission.Options{Ceiling: 256})
		normal := g.open("", 0.8*capacity, 5*time.Second)
		if n := normal.turnedAway(); n > 0 {
			t.Errorf("of normal load %d were turned away: %v", n, normal.refused)
		}
		g.open("", 4*capacity, time.Second) // the burst with which it begins may queue
		over := g.open("", 4*capacity, 5*time.Second)
		goodput := float64(len(over.answered)) / 5 / capacity
		if goodput < .95 {
			t.Errorf("%.2f of the endpoint's capacity was used", goodput)
		}
		if over.p99() > 2*normal.p99() {
			t.Errorf("p99 is %s, normally %s", over.p99(), normal.p99())
		}
		if over.slowNo > 0 {
			t.Errorf("a request was refused after %s", over.slowNo)
		}
		time.Sleep(100 * time.Millisecond)
		after := g.open("", 0.8*capacity, time.Second)
		if n := after.turnedAway(); n > 0 || after.p99() > normal.p99()*3/2 {
			t.Errorf("a moment later %d were turned away (%v), and p99 is %s", n, after.refused, after.p99())
		}
		t.Logf("goodput %.3f, p99 %s (normally %s, afterwards %s), %d turned away", goodput, over.p99(), normal.p99(), after.p99(), over.turnedAway())
	})
}

// TestListsDoNotExcludeOtherRequests: large requests bring a queue of their own, which is no
// overload as long as it is done in time, and small ones go before it.
func TestListsDoNotExcludeOtherRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(4, 2*time.Millisecond)
		e.perRow = 5 * time.Millisecond
		g := newGate(t, e, 256, admission.Options{})
		g.open("", 20, time.Second)
		const rows, learn, during = 100, 3 * time.Second, 10 * time.Second
		var all sync.WaitGroup
		lists := &tally{}
		end := time.Now().Add(learn + during)
		for range 4 {
			all.Go(func() {
				for time.Now().Before(end) {
					took, err := g.list("", rows)
					lists.add(took, err)
					if err != nil {
						time.Sleep(time.Second) // as Retry-After says
					}
				}
			})
		}
		time.Sleep(learn) // what rows cost
		singles := g.open("", 20, during)
		all.Wait()
		done := float64(len(lists.answered)*rows) / (learn + during).Seconds() / (4 / 0.005)
		half := singles.percentile(50)
		t.Logf("%d lists, %v; they use %.2f of the endpoint; singles take %s, %v", len(lists.answered), lists.refused, done, half, singles.refused)
		if singles.turnedAway() > 0 || half > 150*time.Millisecond {
			t.Errorf("beside lists single requests take %s, and %v", half, singles.refused)
		}
		if lists.turnedAway()*20 > len(lists.answered) || done < 0.7 {
			t.Errorf("%d lists are answered, %.2f of what the endpoint can do, and %v", len(lists.answered), done, lists.refused)
		}
	})
}

// TestTooManyListsAreTurnedAway: of four times as many as the endpoint can do,
// as many as it can do are done, and hardly one is given up half done.
func TestTooManyListsAreTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(4, 2*time.Millisecond)
		e.perRow = 5 * time.Millisecond
		g := newGate(t, e, 256, admission.Options{})
		const rows, capacity = 100, 8 // lists a second, hardly
		offer := func(during int) *tally {
			lists := &tally{}
			var all sync.WaitGroup
			for range 4 * capacity * during {
				time.Sleep(time.Second / (4 * capacity))
				all.Go(func() { lists.add(g.list("", rows)) })
			}
			all.Wait()
			return lists
		}
		offer(5) // what rows cost is learned
		const during = 20
		lists := offer(during)
		done := float64(len(lists.answered)) / during / capacity
		t.Logf("%d lists answered, %.2f of the endpoint; %v, %d of them late", len(lists.answered), done, lists.refused, lists.late)
		if done < 0.8 || lists.late*10 > len(lists.answered) {
			t.Errorf("%.2f of what the endpoint can do is done; %d lists are given up late: %v", done, lists.late, lists.refused)
		}
	})
}

// TestAShortStallIsWaitedOut: requests whose deadline allows it are answered after it.
func TestAShortStallIsWaitedOut(t *testing.T) {
	for _, perSecond := range []int{50, 500} {
		synctest.Test(t, func(t *testing.T) {
			e := newEndpoint(4, 5*time.Millisecond)
			g := newGate(t, e, 64, admission.Options{})
			g.open("", float64(perSecond), 2*time.Second)
			done := make(chan *tally)
			go func() { done <- g.open("", float64(perSecond), 2*time.Second) }()
			e.stall(990 * time.Millisecond)
			// At its end the calls that hung make the queue look longer than it is.
			if got := <-done; got.turnedAway() > perSecond/100 {
				t.Errorf("%d were turned away: %v", got.turnedAway(), got.refused)
			}
		})
	}
}

// TestAStallEndsWithoutAStorm lets an endpoint hang for ten seconds, under load.
func TestAStallEndsWithoutAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(4, 5*time.Millisecond)
		g := newGate(t, e, 64, admission.Options{})
		const perSecond = 500
		before := g.open("", perSecond, 2*time.Second)
		if n := before.turnedAway(); n > 0 {
			t.Fatalf("%d were turned away before: %v", n, before.refused)
		}
		calls := e.callsMade()
		done := make(chan *tally)
		go func() { done <- g.open("", perSecond, 10*time.Second) }()
		e.stall(10 * time.Second)
		thawed := time.Now()
		stalled, made := <-done, e.callsMade()-calls
		// Four calls hang until their time is up; then two find out, again and again.
		if made > 40 {
			t.Errorf("%d calls were made of an endpoint that hangs", made)
		}
		if asked := stalled.turnedAway() + len(stalled.answered); asked < 9*perSecond {
			t.Errorf("%d requests in ten seconds", asked)
		}
		// Those of the first second wait, as it might have been a short one, and
		// the trial calls. The others are refused at once.
		if most := perSecond + 100; stalled.late > most {
			t.Errorf("%d waited in vain, at most %d should", stalled.late, most)
		}
		if d := time.Since(thawed); d > 100*time.Millisecond {
			time.Sleep(time.Second - d)
		}
		g.open("", perSecond, time.Second-time.Since(thawed))
		calls = e.callsMade()
		after := g.open("", perSecond, 2*time.Second)
		if n := after.turnedAway(); n > 0 || after.p99() > before.p99()*3/2 {
			t.Errorf("one second after the stall %d were turned away (%v), and p99 is %s, before %s", n, after.refused, after.p99(), before.p99())
		}
		if per := float64(e.callsMade()-calls) / float64(len(after.answered)); per > 1 {
			t.Errorf("%.2f calls a request", per)
		}
		t.Logf("%d calls during the stall; callers saw %v, %d of them late, and %d answers; then p99 %s, before %s", made, stalled.refused, stalled.late, len(stalled.answered), after.p99(), before.p99())
	})
}
