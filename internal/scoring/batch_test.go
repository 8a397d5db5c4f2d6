package scoring_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/callctx"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/scoring"
)

// gate is a model whose calls wait until the test answers them. A row's score
// is its first number.
type gate struct {
	mu    sync.Mutex
	calls []*held
}

// base is the base of all contributions.
const base = -1.25

// held is a call at the gate.
type held struct {
	ctx     context.Context
	rows    []schema.Vector // as they are when they are read
	explain bool
	answer  chan func(*predict.Scores) error
}

func (g *gate) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
	h := &held{ctx: ctx, rows: rows, explain: explain, answer: make(chan func(*predict.Scores) error, 1)}
	g.mu.Lock()
	g.calls = append(g.calls, h)
	g.mu.Unlock()
	select {
	case f := <-h.answer:
		out := predict.Scores{Model: "m", Schema: "s"}
		for _, row := range rows {
			out.Score = append(out.Score, row[0])
			out.Label = append(out.Label, int(row[0])%2)
			if explain {
				out.Contributions, out.Base = append(out.Contributions, []float64{row[0]}), base
			}
		}
		return out, f(&out)
	case <-ctx.Done():
		return predict.Scores{}, &failure.Error{Kind: failure.Deadline, Detail: "late", Err: ctx.Err()}
	}
}

// call returns the nth call, from 0. It must be there.
func (g *gate) call(t *testing.T, n int) *held {
	t.Helper()
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	if n >= len(g.calls) {
		t.Fatalf("there are %d calls, want %d", len(g.calls), n+1)
	}
	return g.calls[n]
}

// with returns the newest call whose first row is this one. Calls that go out
// side by side come in any order.
func (g *gate) with(t *testing.T, first float64) *held {
	t.Helper()
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range slices.Backward(g.calls) {
		if h.rows[0][0] == first {
			return h
		}
	}
	t.Fatalf("no call begins with row %v", first)
	return nil
}

func (g *gate) count() int {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.calls)
}

func (h *held) ok() { h.answer <- func(*predict.Scores) error { return nil } }

func (h *held) fail(err error) { h.answer <- func(*predict.Scores) error { return err } }

// as answers in the name of a model.
func (h *held) as(model string) {
	h.answer <- func(s *predict.Scores) error { s.Model = model; return nil }
}

func (h *held) firsts() []float64 {
	var all []float64
	for _, row := range h.rows {
		all = append(all, row[0])
	}
	return all
}

// request is a request on its way.
type request struct {
	cancel context.CancelFunc
	done   chan struct{}
	scores predict.Scores
	err    error
	took   time.Duration
}

// gated is a Batch with one slot over a gate, in virtual time.
type gated struct {
	t *testing.T
	*gate
	*scoring.Batch
	reg *prometheus.Registry
}

func onGate(t *testing.T, o scoring.BatchOptions, f func(t *testing.T, b *gated)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if o.MaxCalls == 0 {
			o.MaxCalls = 1
		}
		g, reg := &gate{}, prometheus.NewRegistry()
		f(t, &gated{t: t, gate: g, Batch: scoring.NewBatch(g, o, reg), reg: reg})
		synctest.Wait()
	})
}

func vectors(firsts ...float64) []schema.Vector {
	var rows []schema.Vector
	for _, x := range firsts {
		rows = append(rows, schema.Vector{x, -1})
	}
	return rows
}

// sequence is from, from+1, … of n numbers.
func sequence(from float64, n int) []float64 {
	var all []float64
	for i := range n {
		all = append(all, from+float64(i))
	}
	return all
}

// ask sends a request, and returns when it is on its way.
func (b *gated) ask(ctx context.Context, rows []schema.Vector) *request {
	return b.send(ctx, rows, false)
}

func (b *gated) send(ctx context.Context, rows []schema.Vector, explain bool) *request {
	ctx, cancel := context.WithCancel(ctx)
	a := &request{cancel: cancel, done: make(chan struct{})}
	begun := time.Now()
	go func() {
		defer close(a.done)
		a.scores, a.err = b.Batch.Score(ctx, rows, explain)
		a.took = time.Since(begun)
	}()
	synctest.Wait()
	return a
}

// wants waits for the answer and compares the scores.
func (a *request) wants(t *testing.T, firsts ...float64) {
	t.Helper()
	<-a.done
	a.cancel()
	if a.err != nil {
		t.Errorf("got %v, want %v", a.err, firsts)
		return
	}
	if diff := cmp.Diff(firsts, a.scores.Score); diff != "" {
		t.Errorf("scores (-want +got):\n%s", diff)
	}
}

// fails waits for the answer, which must be an error of this kind.
func (a *request) fails(t *testing.T, kind failure.Kind) *failure.Error {
	t.Helper()
	<-a.done
	a.cancel()
	var e *failure.Error
	if !errors.As(a.err, &e) || e.Kind != kind {
		t.Fatalf("got %v, want an error of kind %v", a.err, kind)
	}
	return e
}

func (b *gated) metric(name string) float64 {
	b.t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	sum, found := 0.0, false
	for _, f := range families {
		if f.GetName() == name {
			found = true
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	if !found {
		b.t.Fatalf("there is no metric %s", name)
	}
	return sum
}

type key struct{}

func TestALoneRequestGoesOutAtOnceInItsOwnContext(t *testing.T) {
	onGate(t, scoring.BatchOptions{}, func(t *testing.T, b *gated) {
		a := b.ask(context.WithValue(t.Context(), key{}, "mine"), vectors(7))
		c := b.call(t, 0)
		if c.ctx.Value(key{}) != "mine" {
			t.Error("the call has not the request's context")
		}
		if deadline, ok := c.ctx.Deadline(); !ok || time.Until(deadline) != 2*time.Second {
			t.Error("a call of a request without a deadline has none either")
		}
		c.ok()
		a.wants(t, 7)
		if a.took != 0 {
			t.Errorf("it waited %v", a.took)
		}
	})
}

func TestRequestsGatherWhileSlotsAreTakenAndLeaveTogetherInOrder(t *testing.T) {
	onGate(t, scoring.BatchOptions{}, func(t *testing.T, b *gated) {
		first := b.ask(t.Context(), vectors(1))
		var rest []*request
		for i := range 5 {
			time.Sleep(time.Second / 10)
			rest = append(rest, b.ask(t.Context(), vectors(float64(10*i), float64(10*i+1))))
		}
		if b.count() != 1 || b.Status().Queued != 10 {
			t.Errorf("%d calls, %d rows queued", b.count(), b.Status().Queued)
		}
		b.call(t, 0).ok()
		first.wants(t, 1)
		second := b.call(t, 1)
		if diff := cmp.Diff([]float64{0, 1, 10, 11, 20, 21, 30, 31, 40, 41}, second.firsts()); diff != "" {
			t.Errorf("rows of the call (-want +got):\n%s", diff)
		}
		second.ok()
		for i, a := range rest {
			a.wants(t, float64(10*i), float64(10*i+1))
			if a.scores.Model != "m" || a.scores.Schema != "s" || a.scores.Label[1] != 1 || cap(a.scores.Score) != 2 {
				t.Errorf("got %+v", a.scores)
			}
		}
		if b.metric("gateway_batch_rows") != 2 || b.metric("gateway_batch_wait_seconds") != 6 || b.metric("gateway_batch_call_seconds") != 2 {
			t.Error("the metrics did not count 2 calls of 6 requests")
		}
	})
}

func TestACallHasAtMostSoManyRowsAndBytes(t *testing.T) {
	tests := []struct {
		name    string
		options scoring.BatchOptions
		want    []int // rows of the calls
	}{
		{"rows", scoring.BatchOptions{MaxRows: 4}, []int{1, 4, 4, 2}},
		{"bytes", scoring.BatchOptions{MaxBytes: 3 * 2 * 25}, []int{1, 3, 3, 3, 1}},
		{"neither is too much", scoring.BatchOptions{}, []int{1, 10}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onGate(t, tt.options, func(t *testing.T, b *gated) {
				all := []*request{b.ask(t.Context(), vectors(0))}
				for i := range 10 {
					all = append(all, b.ask(t.Context(), vectors(float64(i+1))))
				}
				var got []int
				for i := range tt.want {
					got = append(got, len(b.call(t, i).rows))
					b.call(t, i).ok()
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("rows of calls (-want +got):\n%s", diff)
				}
				for i, a := range all {
					a.wants(t, float64(i))
				}
			})
		})
	}
}

func TestWhoLeavesTheQueueIsNotInTheCall(t *testing.T) {
	onGate(t, scoring.BatchOptions{}, func(t *testing.T, b *gated) {
		first := b.ask(t.Context(), vectors(1))
		second, third, fourth := b.ask(t.Context(), vectors(2)), b.ask(t.Context(), vectors(3)), b.ask(t.Context(), vectors(4))
		third.cancel()
		if e := third.fails(t, failure.Deadline); !errors.Is(e, context.Canceled) {
			t.Errorf("got %v", e)
		}
		b.call(t, 0).ok()
		if got := b.call(t, 1).firsts(); !slices.Equal(got, []float64{2, 4}) {
			t.Errorf("rows of the call: %v", got)
		}
		b.call(t, 1).ok()
		first.wants(t, 1)
		second.wants(t, 2)
		fourth.wants(t, 4)
		if b.metric("gateway_batch_abandoned_total") != 1 {
			t.Error("it was not counted")
		}
	})
}

func TestWhoLeavesACallLeavesItToTheOthers(t *testing.T) {
	onGate(t, scoring.BatchOptions{}, func(t *testing.T, b *gated) {
		b.ask(t.Context(), vectors(1))
		rows := vectors(2)
		second, third := b.ask(t.Context(), rows), b.ask(t.Context(), vectors(3))
		b.call(t, 0).ok()
		shared := b.call(t, 1)
		second.cancel()
		second.fails(t, failure.Deadline)
		rows[0][0] = 99 // its memory is the caller's again
		if got := shared.firsts(); shared.ctx.Err() != nil || !slices.Equal(got, []float64{2, 3}) {
			t.Errorf("the call has %v and error %v", got, shared.ctx.Err())
		}
		shared.ok()
		third.wants(t, 3)
	})
}

func TestACallThatAllHaveLeftIsCancelled(t *testing.T) {
	onGate(t, scoring.BatchOptions{}, func(t *testing.T, b *gated) {
		b.ask(t.Context(), vectors(1))
		second, third := b.ask(t.Context(), vectors(2)), b.ask(t.Context(), vectors(3))
		b.call(t, 0).ok()
		shared := b.call(t, 1)
		second.cancel()
		third.cancel()
		second.fails(t, failure.Deadline)
		third.fails(t, failure.Deadline)
		synctest.Wait()
		if shared.ctx.Err() == nil {
			t.Error("the call goes on without a caller")
		}
		if s := b.Status(); s.InFlight != 0 || s.Queued != 0 {
			t.Errorf("status is %+v", s)
		}
	})
}

func TestACallHasItsOwnDeadlineNotThatOfTheFirst(t *testing.T) {
	onGate(t, scoring.BatchOptions{Timeout: time.Second}, func(t *testing.T, b *gated) {
		b.ask(t.Context(), vectors(1))
		hasty, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		second, third := b.ask(hasty, vectors(2)), b.ask(t.Context(), vectors(3))
		b.call(t, 0).ok()
		shared := b.call(t, 1)
		if e := second.fails(t, failure.Deadline); second.took != 300*time.Millisecond || !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("told after %v: %v", second.took, e)
		}
		if deadline, ok := shared.ctx.Deadline(); !ok || time.Until(deadline) != 700*time.Millisecond {
			t.Errorf("the call's deadline is %v from now", time.Until(deadline))
		}
		third.fails(t, failure.Deadline)
		if third.took != time.Second {
			t.Errorf("it ended after %v", third.took)
		}
	})
}

func TestARowWhoseTimeIsUpNeverGoesOut(t *testing.T) {
	onGate(t, scoring.BatchOptions{}, func(t *testing.T, b *gated) {
		fast := b.ask(t.Context(), vectors(0))
		time.Sleep(100 * time.Millisecond) // the shortest call so far
		b.call(t, 0).ok()
		fast.wants(t, 0)
		b.ask(t.Context(), vectors(1))
		short, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
		defer cancel()
		second, third := b.ask(short, vectors(2)), b.ask(t.Context(), vectors(3))
		time.Sleep(200 * time.Millisecond) // 50 ms are left, and no call is that short
		b.call(t, 1).ok()
		second.fails(t, failure.Deadline)
		if second.took != 200*time.Millisecond {
			t.Errorf("told after %v", second.took)
		}
		if got := b.call(t, 2).firsts(); !slices.Equal(got, []float64{3}) {
			t.Errorf("rows of the call: %v", got)
		}
		b.call(t, 2).ok()
		third.wants(t, 3)
	})
}

func TestWhoCannotBeAnsweredInTimeIsToldAtOnce(t *testing.T) {
	onGate(t, scoring.BatchOptions{MaxRows: 2}, func(t *testing.T, b *gated) {
		fast := b.ask(t.Context(), vectors(0))
		time.Sleep(100 * time.Millisecond)
		b.call(t, 0).ok()
		fast.wants(t, 0)
		b.ask(t.Context(), vectors(1))
		hasty, cancel := context.WithTimeout(t.Context(), 90*time.Millisecond)
		defer cancel()
		if a := b.ask(hasty, vectors(2)); a.fails(t, failure.Deadline) != nil && a.took != 0 {
			t.Errorf("told after %v", a.took)
		}
		for i := range 8 { // four calls in the queue
			b.ask(t.Context(), vectors(float64(10+i)))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
		defer cancel()
		a := b.ask(ctx, vectors(3))
		if e := a.fails(t, failure.Unavailable); a.took != 0 || e.RetryAfter != 4*b.Status().Latency {
			t.Errorf("told after %v, with %v", a.took, e.RetryAfter)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		b.ask(gone, vectors(4)).fails(t, failure.Deadline)
		if b.metric("gateway_batch_shed_total") != 2 {
			t.Error("not counted")
		}
		_ = b.Stop(gone)
	})
}

// Large requests and small ones have a bound each, so that one large request
// refuses no caller that asks for little.
func TestAFullQueueSaysWhenToComeBack(t *testing.T) {
	onGate(t, scoring.BatchOptions{MaxQueued: 10, MaxRows: 100}, func(t *testing.T, b *gated) {
		b.ask(t.Context(), vectors(1))
		large := b.ask(t.Context(), vectors(sequence(100, 30)...)) // finds the queue empty
		var small []*request
		for i := range 10 {
			small = append(small, b.ask(t.Context(), vectors(float64(i))))
		}
		for _, rows := range []int{30, 1} {
			e := b.ask(t.Context(), vectors(sequence(200, rows)...)).fails(t, failure.Unavailable)
			if e.RetryAfter <= 0 {
				t.Errorf("%d rows: retry after %v", rows, e.RetryAfter)
			}
		}
		b.call(t, 0).ok()
		b.call(t, 1).ok()
		large.wants(t, sequence(100, 30)...)
		for i, r := range small {
			r.wants(t, float64(i))
		}
	})
}

// A small request waits for its turn, not for all rows of a large one. A large one
// needs time for those before it and for its own rows.
func TestWhoAsksForLittleIsNotRefusedForLargeRequests(t *testing.T) {
	onGate(t, scoring.BatchOptions{MaxRows: 2}, func(t *testing.T, b *gated) {
		within := func(d time.Duration, rows ...float64) *request {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			t.Cleanup(cancel)
			return b.ask(ctx, vectors(rows...))
		}
		first := b.ask(t.Context(), vectors(0))
		time.Sleep(100 * time.Millisecond)
		b.call(t, 0).ok()
		first.wants(t, 0)
		b.ask(t.Context(), vectors(1))
		b.ask(t.Context(), vectors(sequence(200, 40)...))
		if wait := b.Status().Wait; wait != 0 {
			t.Errorf("a small request is said to wait %v", wait)
		}
		small := within(150*time.Millisecond, 2)
		// The rows before it take two seconds, as do its own, and that is the best case.
		within(5*time.Second, sequence(300, 40)...).fails(t, failure.Unavailable)
		b.ask(t.Context(), vectors(3, 4)) // does not fit into the same call
		if wait := b.Status().Wait; wait != 200*time.Millisecond {
			t.Errorf("behind three rows a small request is said to wait %v, want two calls of 100 ms", wait)
		}
		b.call(t, 1).ok()
		b.call(t, 2).ok()
		small.wants(t, 2)
		stopped, cancel := context.WithCancel(t.Context())
		cancel()
		_ = b.Stop(stopped)
	})
}

// A batch notices the deadline and the departure of a caller whose context is a
// callctx.Deadline, and does not make that context's timer.
func TestADeadlineNeedsNoTimerOfItsContext(t *testing.T) {
	onGate(t, scoring.BatchOptions{}, func(t *testing.T, b *gated) {
		var deadlines []*callctx.Deadline
		join := func(first float64, until time.Duration) (*request, context.CancelFunc) {
			caller, leave := context.WithCancel(t.Context())
			ctx := new(callctx.Deadline)
			ctx.Start(caller, time.Now().Add(until))
			deadlines = append(deadlines, ctx)
			a := &request{cancel: func() {}, done: make(chan struct{})}
			begun := time.Now()
			go func() {
				defer close(a.done)
				a.scores, a.err = b.Batch.Score(ctx, vectors(first), false)
				a.took = time.Since(begun)
			}()
			synctest.Wait()
			return a, leave
		}
		for range 2 { // the second time with timers that have been used
			first := b.ask(t.Context(), vectors(1))
			hasty, _ := join(2, 300*time.Millisecond)
			leaver, leave := join(3, time.Second)
			stays, _ := join(4, time.Second)
			stays2, _ := join(5, time.Second)
			if hasty.fails(t, failure.Deadline); hasty.took != 300*time.Millisecond {
				t.Errorf("told after %v", hasty.took)
			}
			leave()
			if e := leaver.fails(t, failure.Deadline); !errors.Is(e, context.Canceled) {
				t.Errorf("got %v", e)
			}
			b.with(t, 1).ok()
			first.wants(t, 1)
			b.with(t, 4).ok()
			stays.wants(t, 4)
			stays2.wants(t, 5)
		}
		for i, ctx := range deadlines {
			if ctx.HasTimer() {
				t.Errorf("context %d has a timer", i)
			}
		}
	})
}
