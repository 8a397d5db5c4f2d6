package scoring_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/scoring"
)

// endpoint is a model behind servers that each answer one call at a time.
// Further calls queue, first come, first served, or are refused where the
// endpoint throttles. A row's score is its first number, so that an answer tells
// whose it is.
type endpoint struct {
	mu       sync.Mutex
	queue    []chan struct{} // closed for whose turn it is, who is busy then
	servers  int
	busy     int
	base     time.Duration // of a call
	perRow   time.Duration
	spread   float64 // share by which a call may take longer or shorter
	throttle bool
	stalled  chan struct{} // calls wait until it is closed
	random   *rand.Rand

	calls, rows, refused, cancelled int
	inFlight, peak                  int
}

func newEndpoint(servers int, base time.Duration) *endpoint {
	return &endpoint{servers: servers, base: base, random: rand.New(rand.NewPCG(1, 2))}
}

func (e *endpoint) change(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
	for len(e.queue) > 0 && e.busy < e.servers {
		e.busy++
		close(e.queue[0])
		e.queue = e.queue[1:]
	}
}

// turn waits until a server is free, and takes it.
func (e *endpoint) turn(ctx context.Context) error {
	turn, refused := make(chan struct{}), false
	e.change(func() {
		if refused = e.throttle && e.busy >= e.servers; refused {
			e.refused++
		} else {
			e.queue = append(e.queue, turn)
		}
	})
	if refused {
		time.Sleep(100 * time.Microsecond)
		return &failure.Error{Kind: failure.Unavailable, Detail: "throttled", Throttled: true}
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	e.change(func() {
		if at := slices.Index(e.queue, turn); at >= 0 {
			e.queue = slices.Delete(e.queue, at, at+1)
		} else {
			e.busy-- // it has just come
		}
	})
	return e.late(ctx)
}

func (e *endpoint) Score(ctx context.Context, rows []schema.Vector, _ bool) (predict.Scores, error) {
	e.mu.Lock()
	e.calls++
	e.rows += len(rows)
	e.inFlight++
	e.peak = max(e.peak, e.inFlight)
	stalled := e.stalled
	e.mu.Unlock()
	defer e.change(func() { e.inFlight-- })
	if stalled != nil {
		select {
		case <-stalled:
		case <-ctx.Done():
			return predict.Scores{}, e.late(ctx)
		}
	}
	if err := e.turn(ctx); err != nil {
		return predict.Scores{}, err
	}
	e.mu.Lock()
	took := e.base + time.Duration(len(rows))*e.perRow
	took += time.Duration(e.spread * float64(took) * (2*e.random.Float64() - 1))
	e.mu.Unlock()
	defer e.change(func() { e.busy-- })
	select {
	case <-time.After(took):
	case <-ctx.Done():
		return predict.Scores{}, e.late(ctx)
	}
	out := predict.Scores{Model: "m", Score: make([]float64, len(rows)), Label: make([]int, len(rows))}
	for i, row := range rows {
		out.Score[i] = row[0]
	}
	return out, nil
}

func (e *endpoint) late(ctx context.Context) error {
	e.mu.Lock()
	e.cancelled++
	e.mu.Unlock()
	return &failure.Error{Kind: failure.Deadline, Detail: "late", Err: ctx.Err()}
}

// crowd asks for predictions and checks that each gets its own.
type crowd struct {
	t     *testing.T
	batch *scoring.Batch

	mu          sync.Mutex
	answered    int
	failed      map[string]int
	refusedLate int
	took        time.Duration
	slowest     time.Duration
}

// allAnswered checks that no request was refused.
func (c *crowd) allAnswered() {
	c.t.Helper()
	if len(c.failed) > 0 {
		c.t.Errorf("failed: %v", c.failed)
	}
}

// chunk asks for many rows at once and does not count them among the others.
func (c *crowd) chunk(rows int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	question := make([]schema.Vector, rows)
	for i := range question {
		question[i] = schema.Vector{rand.Float64(), 1}
	}
	scores, err := c.batch.Score(ctx, question, false)
	for i := range scores.Score {
		if scores.Errors != nil && scores.Errors[i] != nil {
			err = scores.Errors[i]
		} else if scores.Score[i] != question[i][0] {
			c.t.Errorf("a row got another's score")
		}
	}
	return err
}

func (c *crowd) ask(timeout time.Duration, rows int) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	question := make([]schema.Vector, rows)
	for i := range question {
		question[i] = schema.Vector{rand.Float64(), 1}
	}
	begun := time.Now()
	scores, err := c.batch.Score(ctx, question, false)
	took := time.Since(begun)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed[err.Error()]++
		if e := (*failure.Error)(nil); errors.As(err, &e) && e.RetryAfter > 0 && took > 0 {
			c.refusedLate++
		}
		return err
	}
	for i, row := range question {
		if scores.Score[i] != row[0] {
			c.t.Errorf("a row got another's score")
		}
	}
	c.answered += rows
	c.took += took
	c.slowest = max(c.slowest, took)
	return nil
}

// closed lets customers ask, each again as soon as it has its answer.
func (c *crowd) closed(customers int, during time.Duration) (perSecond float64) {
	var all sync.WaitGroup
	before := c.answered
	end := time.Now().Add(during)
	for range customers {
		all.Go(func() {
			for time.Now().Before(end) {
				if c.ask(2*time.Second, 1) != nil {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	all.Wait()
	return float64(c.answered-before) / during.Seconds()
}

// open lets requests arrive at a rate, at random times, and returns the mean time.
func (c *crowd) open(perSecond float64, during time.Duration) time.Duration {
	random := rand.New(rand.NewPCG(3, 4))
	var all sync.WaitGroup
	before, took := c.answered, c.took
	for end := time.Now().Add(during); time.Now().Before(end); {
		time.Sleep(time.Duration(random.ExpFloat64() / perSecond * float64(time.Second)))
		all.Go(func() { _ = c.ask(2*time.Second, 1) })
	}
	all.Wait()
	return (c.took - took) / time.Duration(max(1, c.answered-before))
}

// slots begins to watch the number of slots; the function returned waits for
// the end and tells the mean.
func (c *crowd) slots(during time.Duration) func() float64 {
	mean := make(chan float64)
	go func() {
		sum, n := 0, 0
		for end := time.Now().Add(during); time.Now().Before(end); n++ {
			time.Sleep(3 * time.Millisecond)
			sum += c.batch.Status().Slots
		}
		mean <- float64(sum) / float64(n)
	}()
	return func() float64 { return <-mean }
}

// trial is one run of a simulation, and what it falls short of. Goroutines run
// in an order of their own even in virtual time, so figures differ from run to
// run, and now and then one is beyond a bound. What is wrong is so in all runs.
type trial struct {
	*testing.T
	short []string
}

// trials is how many runs may fall short before the test does.
const trials = 3

// Errorf notes that a figure is beyond its bound. What may never be otherwise,
// such as whose score it is, is an Error, which no other run makes good.
func (t *trial) Errorf(format string, args ...any) {
	t.short = append(t.short, fmt.Sprintf(format, args...))
}

// simulate runs f in virtual time, on an endpoint that build makes.
func simulate(t *testing.T, build func() *endpoint, o scoring.BatchOptions, f func(t *trial, e *endpoint, c *crowd)) {
	t.Helper()
	var short []string
	for range trials {
		var run trial
		synctest.Test(t, func(t *testing.T) {
			run.T = t
			e := build() // its channels are of this bubble
			b := scoring.NewBatch(e, o, prometheus.NewRegistry())
			f(&run, e, &crowd{t: t, batch: b, failed: map[string]int{}})
			if err := b.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
		if len(run.short) == 0 {
			return
		}
		short = append(short, run.short...)
	}
	t.Errorf("all %d runs fall short: %q", trials, short)
}

// Slots stay at what the endpoint serves at once or below it, where rows take
// no longer: that larger calls make up for fewer of them is what batching is for.
func TestSlotsFindWhatTheEndpointServesAtOnce(t *testing.T) {
	tests := []struct {
		name               string
		servers, customers int
		most               float64 // slots, on average
		gain               float64 // rows, against calls of one row each; customers/servers is all there is
	}{
		{"one server", 1, 64, 2.5, 27}, // half of the customers are in the call, the others wait
		{"two servers", 2, 64, 4.5, 18},
		{"four servers, 64 customers", 4, 64, 7, 12.8},
		{"four servers, 256 customers", 4, 256, 7, 45},
		{"eight servers", 8, 128, 13, 12},
		{"sixteen servers", 16, 128, 25, 6.4},
		{"more servers than customers", 64, 16, 64, 0.21},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			build := func() *endpoint {
				e := newEndpoint(tt.servers, 5*time.Millisecond)
				e.spread = 0.1
				return e
			}
			simulate(t, build, scoring.BatchOptions{}, func(t *trial, e *endpoint, c *crowd) {
				c.closed(tt.customers, 3*time.Second/2)
				slots := c.slots(time.Second / 2)
				perSecond := c.closed(tt.customers, time.Second/2)
				gain, mean := perSecond/float64(200*tt.servers), slots()
				t.Logf("%.1f slots, %.1f times the rows", mean, gain)
				if mean > tt.most || gain < tt.gain {
					t.Errorf("%.1f slots and %.1f times the rows, want %v at most and %.1f", mean, gain, tt.most, tt.gain)
				}
				c.allAnswered()
			})
		})
	}
}

func TestSlotsAreFoundWhateverCallsTake(t *testing.T) {
	tests := []struct {
		name   string
		change func(e *endpoint)
		least  float64 // rows per second, of 64 customers
	}{
		{"calls vary by half", func(e *endpoint) { e.spread = 0.5 }, 8000},
		{"larger calls take longer", func(e *endpoint) { e.perRow = 100 * time.Microsecond }, 7000},
		{"rows take as long as calls", func(e *endpoint) { e.base, e.perRow, e.spread = time.Millisecond, time.Millisecond, 0.2 }, 2400},
		{"rows are what counts", func(e *endpoint) { e.base, e.perRow, e.spread = 2*time.Millisecond, 5*time.Millisecond, 0.2 }, 600},
		{"rows are what counts, of many servers", func(e *endpoint) {
			e.servers, e.base, e.perRow, e.spread = 8, 2*time.Millisecond, 5*time.Millisecond, 0.2
		}, 1000},
		{"calls take long", func(e *endpoint) { e.base = 100 * time.Millisecond }, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			build := func() *endpoint {
				e := newEndpoint(4, 5*time.Millisecond)
				tt.change(e)
				return e
			}
			simulate(t, build, scoring.BatchOptions{}, func(t *trial, e *endpoint, c *crowd) {
				c.closed(64, 2*time.Second)
				perSecond := c.closed(64, time.Second)
				t.Logf("%d slots, %.0f rows/s", c.batch.Status().Slots, perSecond)
				if perSecond < tt.least {
					t.Errorf("%.0f rows/s, want %.0f", perSecond, tt.least)
				}
				c.allAnswered()
			})
		})
	}
}

func TestSlotsFollowTheEndpoint(t *testing.T) {
	build := func() *endpoint {
		e := newEndpoint(4, 5*time.Millisecond)
		e.spread = 0.1
		return e
	}
	simulate(t, build, scoring.BatchOptions{}, func(t *trial, e *endpoint, c *crowd) {
		for _, step := range []struct {
			servers   int
			base      time.Duration
			most      float64 // slots, on average
			perSecond float64 // of 25,600 that 128 customers can ask for in 5 ms, 6,400 in 20
		}{
			{4, 5, 7, 18000},
			{16, 5, 25, 18000},
			{2, 5, 4, 17000},
			{16, 5, 25, 18000},
			{2, 20, 4, 3200},
		} {
			e.change(func() { e.servers, e.base = step.servers, step.base*time.Millisecond })
			c.closed(128, 200*e.base)
			slots := c.slots(time.Second / 2)
			got := c.closed(128, time.Second/2)
			mean := slots()
			t.Logf("%d servers, %v: %.1f slots, %.0f rows/s", step.servers, e.base, mean, got)
			if mean > step.most || got < step.perSecond {
				t.Errorf("%d servers, %v: %.1f slots and %.0f rows/s, want %v slots at most and %.0f",
					step.servers, e.base, mean, got, step.most, step.perSecond)
			}
		}
	})
}

func TestWithPlentyOfSlotsNobodyWaits(t *testing.T) {
	for _, rate := range []float64{200, 500, 2000, 5000} {
		t.Run(fmt.Sprintf("%v a second", rate), func(t *testing.T) {
			build := func() *endpoint {
				e := newEndpoint(1000, 5*time.Millisecond)
				return e
			}
			simulate(t, build, scoring.BatchOptions{}, func(t *trial, e *endpoint, c *crowd) {
				c.open(rate, 500*time.Millisecond) // while slots are learned
				if mean := c.open(rate, time.Second); mean > 5100*time.Microsecond {
					t.Errorf("a request takes %v, want 5.1 ms at most", mean)
				}
				c.allAnswered()
			})
		})
	}
}

// Calls of most endpoints take longer than the shortest, whatever their number.
// That looks like a queue there; slots that are tried away must not cost much.
func TestUnevenCallsCostNobodyASlot(t *testing.T) {
	build := func() *endpoint {
		e := newEndpoint(1000, 5*time.Millisecond)
		e.spread = 0.3
		return e
	}
	simulate(t, build, scoring.BatchOptions{}, func(t *trial, e *endpoint, c *crowd) {
		c.open(500, time.Second)
		if mean := c.open(500, 20*time.Second); mean > 5060*time.Microsecond {
			t.Errorf("a request takes %v, want 5.06 ms at most", mean)
		}
		c.allAnswered()
	})
}

func TestALoneCustomerNeverWaits(t *testing.T) {
	build := func() *endpoint {
		e := newEndpoint(1, 5*time.Millisecond)
		return e
	}
	simulate(t, build, scoring.BatchOptions{}, func(t *trial, e *endpoint, c *crowd) {
		for range 100 {
			c.closed(1, 20*time.Millisecond)
			time.Sleep(time.Second / 3)
		}
		if c.slowest != 5*time.Millisecond {
			t.Errorf("the slowest took %v", c.slowest)
		}
	})
}

func TestAnEndpointThatThrottlesIsNotPressed(t *testing.T) {
	build := func() *endpoint {
		e := newEndpoint(8, 5*time.Millisecond)
		e.throttle = true
		return e
	}
	simulate(t, build, scoring.BatchOptions{}, func(t *trial, e *endpoint, c *crowd) {
		c.closed(64, time.Second)
		calls, refused := e.calls, e.refused
		perSecond := c.closed(64, 5*time.Second)
		s, calls, refused := c.batch.Status(), e.calls-calls, e.refused-refused
		t.Logf("%d slots, %.0f rows/s, %d of %d calls refused", s.Slots, perSecond, refused, calls)
		if s.Slots < 4 || s.Slots > 8 || perSecond < 10000 || refused*100 > calls {
			t.Errorf("%d slots, %.0f rows/s, %d of %d calls refused", s.Slots, perSecond, refused, calls)
		}
	})
}

func TestAStallEndsWithoutAStorm(t *testing.T) {
	build := func() *endpoint {
		e := newEndpoint(4, 5*time.Millisecond)
		return e
	}
	simulate(t, build, scoring.BatchOptions{}, func(t *trial, e *endpoint, c *crowd) {
		before := c.closed(64, 2*time.Second)
		end := make(chan struct{})
		e.change(func() { e.stalled, e.peak, e.calls = end, 0, 0 })
		time.AfterFunc(10*time.Second, func() {
			e.change(func() { e.stalled = nil })
			close(end)
		})
		c.closed(64, 10*time.Second)
		if e.calls > 18 || e.peak > 12 { // slots halve with each call that is not answered
			t.Errorf("during the stall there were %d calls, %d at once", e.calls, e.peak)
		}
		time.Sleep(2 * time.Second)
		e.change(func() { e.peak, e.calls = 0, 0 })
		rows := e.rows
		c.closed(64, time.Second)
		if e.peak > 16 || e.rows-rows > int(before)*11/10 {
			t.Errorf("after the stall there were %d calls at once, %d rows", e.peak, e.rows-rows)
		}
		after := c.closed(64, time.Second)
		t.Logf("%.0f rows/s before, %.0f after; failed: %v", before, after, c.failed)
		if after < before*9/10 {
			t.Errorf("%.0f rows/s before the stall, %.0f after it", before, after)
		}
	})
}

func TestOverloadIsTurnedAwayAtOnceAndTheRestIsServed(t *testing.T) {
	const capacity = 4 * 16 * 200 // rows a second
	build := func() *endpoint {
		e := newEndpoint(4, 5*time.Millisecond)
		return e
	}
	simulate(t, build, scoring.BatchOptions{MaxRows: 16, MaxQueued: 256}, func(t *trial, e *endpoint, c *crowd) {
		c.open(capacity/2, time.Second)
		answered := c.answered
		c.open(4*capacity, 2*time.Second)
		goodput := float64(c.answered-answered) / 2
		t.Logf("%.0f of %d rows/s, slowest %v, %v", goodput, capacity, c.slowest, c.batch.Status())
		if goodput < 0.95*capacity || c.slowest > 60*time.Millisecond || c.refusedLate > 0 {
			t.Errorf("%.0f of %d rows/s, slowest %v, %d refused late", goodput, capacity, c.slowest, c.refusedLate)
		}
		if mean := c.open(capacity/2, time.Second); mean > 12*time.Millisecond {
			t.Errorf("after the overload a request takes %v", mean)
		}
	})
}

func TestSmallAndLargeRequestsStarveNeitherOfThem(t *testing.T) {
	build := func() *endpoint {
		e := newEndpoint(2, 5*time.Millisecond)
		return e
	}
	simulate(t, build, scoring.BatchOptions{MaxCalls: 2}, func(t *trial, e *endpoint, c *crowd) {
		singles := c.closed(32, time.Second)
		alone := c.slowest
		var streams sync.WaitGroup
		chunks := 0
		end := time.Now().Add(2 * time.Second)
		for range 8 {
			streams.Go(func() {
				for time.Now().Before(end) {
					if err := c.chunk(256); err != nil {
						t.Error(err)
					}
					c.mu.Lock()
					chunks++
					c.mu.Unlock()
				}
			})
		}
		beside := c.closed(32, 2*time.Second)
		streams.Wait()
		t.Logf("singles: %.0f/s alone, %.0f/s beside %d chunks; slowest %v and %v", singles, beside, chunks, alone, c.slowest)
		if c.slowest > 2*alone || chunks < 100 {
			t.Errorf("singles: slowest %v alone, %v beside %d chunks", alone, c.slowest, chunks)
		}
	})
}

// Where each row takes its time, a call for all rows of a large request would
// leave the other servers idle, and hold its own for as long.
func TestALargeRequestIsCutByWhatItsRowsCost(t *testing.T) {
	build := func() *endpoint {
		e := newEndpoint(4, 2*time.Millisecond)
		e.perRow, e.spread = 5*time.Millisecond, 0.1
		return e
	}
	const rows = 100 // half a second of one server
	simulate(t, build, scoring.BatchOptions{}, func(t *trial, e *endpoint, c *crowd) {
		c.closed(32, 2*time.Second)
		begun := time.Now()
		if err := c.chunk(rows); err != nil {
			t.Errorf("without other requests: %v", err)
		}
		alone := time.Since(begun)
		var others sync.WaitGroup
		var answered, failed atomic.Int64
		end := time.Now().Add(4 * time.Second)
		for range 4 {
			others.Go(func() {
				for time.Now().Before(end) {
					if c.chunk(rows) == nil {
						answered.Add(1)
						continue
					}
					failed.Add(1)
					time.Sleep(time.Second) // as Retry-After says
				}
			})
		}
		mean := c.open(100, 4*time.Second)
		others.Wait()
		t.Logf("%d rows alone take %v; single requests beside others %v", rows, alone, mean)
		if failed.Load()*10 > answered.Load() {
			t.Errorf("of those with %d rows %d were answered and %d were not", rows, answered.Load(), failed.Load())
		}
		if alone > 350*time.Millisecond || mean > 150*time.Millisecond {
			t.Errorf("%d rows alone take %v, single requests beside others %v; want 350 and 150 ms at most", rows, alone, mean)
		}
	})
}

// A few chunks of many rows, and single requests beside them that the endpoint
// has a server for. The rows of a chunk are hardly delayed by a slot less, and
// there are many of them; those who feel it are the single requests.
func TestSlotsAreNotTakenFromSingleRequestsForAStreamOfRows(t *testing.T) {
	build := func() *endpoint {
		e := newEndpoint(4, 5*time.Millisecond)
		e.perRow, e.spread = 20*time.Microsecond, 0.1
		return e
	}
	simulate(t, build, scoring.BatchOptions{}, func(t *trial, e *endpoint, c *crowd) {
		var stream sync.WaitGroup
		end := time.Now().Add(20 * time.Second)
		stream.Go(func() {
			for time.Now().Before(end) {
				if err := c.chunk(256); err != nil {
					t.Error(err)
				}
				time.Sleep(6 * time.Millisecond) // the next one is read
			}
		})
		slots := c.slots(20 * time.Second)
		mean := c.open(200, 20*time.Second)
		stream.Wait()
		t.Logf("a single request takes %v; %.1f slots", mean, slots())
		if mean > 5500*time.Microsecond {
			t.Errorf("a single request takes %v, want 5.5 ms at most", mean)
		}
		c.allAnswered()
	})
}
