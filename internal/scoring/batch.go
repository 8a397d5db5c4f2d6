package scoring

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/predict"
)

// # The rule of micro-batching
//
// A call to a remote model costs the same for one row as for many, and the
// endpoint takes only so many calls at once. So there are slots: how many calls
// may be in flight.
//
//   - While a slot is free, a request goes out at once. A lone request never
//     waits, and runs in its caller's own goroutine: Batch adds a lock and two
//     looks at the clock. Where calls are in flight already, the goroutine gives
//     way once before it goes out, so that requests which are ready to run at
//     this moment come along. That is no wait: with nobody ready it returns at once.
//   - While all slots are taken, requests gather in a queue. When a slot frees,
//     what has gathered leaves as one call, up to MaxRows rows or MaxBytes bytes;
//     the rest leaves with the next one. Where rows rather than calls are what
//     takes time, calls are smaller (batchcost.go).
//   - How many slots there are is learned (batchslots.go), because nobody can
//     say how many calls an endpoint takes. MaxWait belongs to the learning. It
//     is no timer: under the limit nobody waits, and beyond it a call sent for
//     impatience would wait in the endpoint's queue instead of ours, where nobody
//     can join it any more. It says how long requests may wait for a slot, on
//     average, before the next try of one slot more becomes urgent.
//
// Who shares a call notices nothing of it:
//
//   - Rows are counted, not requests. A request of more rows than a call may, or
//     should, have is split over calls and joined again, in order
//     (batchparts.go). Small requests go before those of many rows, which get
//     every fourth call.
//   - A call has a deadline of its own. A caller who leaves, or whose time is
//     up, is dropped from the queue, or answered at once while the call goes on
//     for the others. When the last one has left, the call is cancelled.
//   - Where a call fails because of its content (BadModel, Invalid) it is split
//     in halves until the bad rows are alone (batchisolate.go), within a budget
//     that a model which is wholly broken soon uses up.
//   - The queue is bounded, for small requests and for large ones. Who finds it
//     full, or cannot be answered in time, is told so at once.
//   - All scores of one request come from one model.
//   - A request with explain shares a call only with others of its kind.
//
// One Batch is one queue: it belongs to a Scorer, and a Scorer to one endpoint,
// variant, schema and content type. Who serves several makes several.

// BatchOptions sets up a Batch. A zero value means the default.
type BatchOptions struct {
	MaxRows   int           // rows in a call; 256
	MaxWait   time.Duration // mean wait for a slot above which one slot more is tried soon; 2ms
	MaxBytes  int           // of a call's rows as CSV, by an estimate from above; 4 MB, the least that SageMaker takes
	MaxCalls  int           // most slots that may be learned; 64
	MaxQueued int           // rows that may wait for a slot, of small requests and of large ones; 8192
	Timeout   time.Duration // of a call; 2s

	// Link, where set, may put values into the context of a call that several
	// requests share, such as a span that links theirs. A call with one request
	// runs in that request's own context and is not asked about.
	Link func(call context.Context, requests []context.Context) context.Context
}

func (o BatchOptions) withDefaults() BatchOptions {
	set := func(n *int, value int) {
		if *n <= 0 {
			*n = value
		}
	}
	set(&o.MaxRows, 256)
	set(&o.MaxBytes, 4_000_000)
	set(&o.MaxCalls, 64)
	set(&o.MaxQueued, 8192)
	if o.MaxWait <= 0 {
		o.MaxWait = 2 * time.Millisecond
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	return o
}

// Batch is a Scorer that asks another one, with rows of concurrent requests put
// together. The rule is at the top of this file.
type Batch struct {
	scorer  predict.Scorer
	o       BatchOptions
	metrics *batchMetrics
	base    context.Context // of shared calls; ends when Stop loses patience
	cancel  context.CancelFunc

	waiters sync.Pool // of this Batch alone, for a waiter's channel belongs to it

	mu       sync.Mutex
	queue    batchQueue
	slots    slots
	cost     cost
	inFlight int       // slots taken
	asked    int       // rows of the calls that are under way
	moved    time.Time // when a slot was taken, or a call ended, for the last time
	extra    splitBudget
	stopping bool
	idle     chan struct{} // closed when stopping and nothing is left
}

// NewBatch makes a Batch over scorer. Its metrics are registered with reg; for
// several, wrap reg with a label that tells them apart.
func NewBatch(scorer predict.Scorer, o BatchOptions, reg prometheus.Registerer) *Batch {
	o = o.withDefaults()
	b := &Batch{scorer: scorer, o: o, slots: newSlots(o.MaxCalls, o.MaxWait), extra: splitReserve, idle: make(chan struct{})}
	b.base, b.cancel = context.WithCancel(context.Background())
	b.queue.init(o.MaxRows, o.MaxBytes)
	b.metrics = newBatchMetrics(reg, b)
	return b
}

// Score implements Scorer. Rows that the model cannot score are told apart in
// Scores.Errors where others of the same request could be scored.
func (b *Batch) Score(ctx context.Context, rows []predict.Vector, explain bool) (predict.Scores, error) {
	if len(rows) == 0 {
		return predict.Scores{}, nil
	}
	now := time.Now()
	b.mu.Lock()
	if size := b.rowsPerPart(rows); len(rows) > size {
		b.mu.Unlock()
		return b.scoreParts(ctx, rows, explain, size)
	}
	if err := b.refuse(ctx, len(rows), now); err != nil {
		b.mu.Unlock()
		return predict.Scores{}, err
	}
	if b.inFlight == 0 {
		b.inFlight++
		b.moved = now
		b.asked += len(rows)
		t := b.slots.begin(now, 1)
		b.mu.Unlock()
		return b.alone(ctx, rows, explain, t)
	}
	w := b.newWaiter(ctx, rows, explain, now)
	mine := b.inFlight < b.slots.limit && b.queue.rows == 0
	b.queue.push(w)
	if !mine {
		b.mu.Unlock()
		return b.wait(ctx, w)
	}
	b.inFlight++
	b.moved = now
	b.mu.Unlock()
	runtime.Gosched()
	b.mu.Lock()
	c := b.cut()
	if c != nil && len(c.waiters) == 1 && c.waiters[0] == w {
		t := c.ticket
		b.mu.Unlock()
		c.release()
		w.release()
		return b.alone(ctx, rows, explain, t)
	}
	if c != nil {
		c.copyRows()
		go b.run(c)
	}
	b.mu.Unlock()
	return b.wait(ctx, w)
}

// alone makes a call for one request in its caller's goroutine and context,
// in a slot that is taken already.
func (b *Batch) alone(ctx context.Context, rows []predict.Vector, explain bool, t ticket) (predict.Scores, error) {
	if d, ok := ctx.Deadline(); !ok || d.Sub(t.begun) > b.o.Timeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.o.Timeout)
		defer cancel()
	}
	b.metrics.wait.Observe(t.waited.Seconds())
	scores, err := b.ask(ctx, rows, explain)
	t.rows, t.requests = len(rows), 1
	b.report(&t, err)
	if err != nil && len(rows) > 1 && splittable(err) {
		scores, err = b.isolateRows(ctx, rows, explain, err)
	}
	b.mu.Lock()
	b.learn(&t)
	if b.queue.rows > 0 && b.inFlight <= b.slots.limit {
		go b.serve() // the slot goes on to those who wait
	} else {
		b.free()
	}
	b.mu.Unlock()
	return scores, err
}

// serve takes over a slot.
func (b *Batch) serve() {
	b.mu.Lock()
	c := b.cut()
	if c != nil {
		c.copyRows()
	}
	b.mu.Unlock()
	b.run(c)
}

// run makes calls, one after the other, for as long as requests wait and the
// slot is wanted.
func (b *Batch) run(c *call) {
	for c != nil {
		c = b.next(b.do(c))
	}
}

// next reports a call and cuts the next one for the same slot.
func (b *Batch) next(t ticket) *call {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.learn(&t)
	if b.queue.rows == 0 || b.inFlight > b.slots.limit {
		b.free()
		return nil
	}
	// Those who have just been answered, and whoever is ready to run, come
	// first: so calls are larger, and at saturation there are half as many.
	b.mu.Unlock()
	runtime.Gosched()
	b.mu.Lock()
	c := b.cut()
	if c != nil {
		c.copyRows()
	}
	return c
}

// learn reports a call to the learner and uses slots that this opens. b.mu is held.
func (b *Batch) learn(t *ticket) {
	b.slots.done(t)
	if t.outcome == scored {
		b.cost.observe(t.rows, t.begun, t.took)
	}
	b.asked -= t.rows
	b.moved = t.begun.Add(t.took)
	if t.outcome == scored {
		b.extra.earn()
	}
	b.open()
}

// open puts free slots to work while requests wait. b.mu is held.
func (b *Batch) open() {
	for n := b.calls(b.queue.rows); n > 0 && b.inFlight < b.slots.limit; n-- {
		b.inFlight++
		b.moved = time.Now()
		go b.serve()
	}
}

// size is how many rows a call should have at most. b.mu is held.
func (b *Batch) size() int {
	return b.cost.size(b.queue.rows+b.asked, b.slots.limit, b.o.MaxRows)
}

// rowsPerPart is how many rows of a new request should be sent together: all,
// where they are few. b.mu is held.
func (b *Batch) rowsPerPart(rows []predict.Vector) int {
	most := b.queue.rowsPerCall(rows)
	if len(rows) <= smallRows {
		return most
	}
	return b.cost.size(b.queue.rows+b.asked+len(rows), b.slots.limit, most)
}

// calls is how many calls so many rows take, at least. b.mu is held.
func (b *Batch) calls(rows int) int {
	size := b.size()
	return (rows + size - 1) / size
}

// drain is how long it takes, at best, until so many rows have gone out. b.mu is held.
func (b *Batch) drain(rows int) time.Duration {
	calls := b.calls(rows)
	took := time.Duration(calls) * b.slots.mean
	if b.cost.rowsCost() {
		took = b.cost.time(calls, rows)
	}
	return took / time.Duration(b.slots.limit)
}

// free gives a slot back. b.mu is held.
func (b *Batch) free() {
	b.inFlight--
	if b.stopping && b.inFlight == 0 && b.queue.rows == 0 {
		b.finish()
	}
}

func (b *Batch) finish() {
	select {
	case <-b.idle:
	default:
		close(b.idle)
	}
}

// cut makes a call of what has gathered, for a slot that is taken already; it
// gives the slot back if there is nothing. b.mu is held.
func (b *Batch) cut() *call {
	now := time.Now()
	c, late := b.queue.cut(b.size(), b.cost.beside(b.o.MaxRows), now.Add(b.slots.best))
	for _, w := range late {
		b.metrics.late(w.ctx)
		w.answer(predict.Scores{}, leftError(w.ctx))
	}
	if c == nil {
		b.free()
		return nil
	}
	b.asked += c.size
	c.ticket = b.slots.begin(now, b.inFlight)
	for _, w := range c.waiters {
		c.ticket.waited += now.Sub(w.since)
	}
	b.open()
	return c
}

// wait waits for the answer, for as long as the caller does.
func (b *Batch) wait(ctx context.Context, w *waiter) (predict.Scores, error) {
	late := w.untilDeadline(ctx)
	answered := false
	select {
	case <-w.done:
		answered = true
	case <-w.gone:
	case <-late:
	}
	if late != nil {
		w.timer.Stop()
	}
	if !answered {
		if b.leave(w) {
			return predict.Scores{}, leftError(ctx)
		}
		<-w.done // the answer has just come
	}
	scores, err := w.scores, w.err
	w.release()
	return scores, err
}

// leave drops a request whose caller does not wait any longer. It reports false
// where the answer was there first.
func (b *Batch) leave(w *waiter) bool {
	b.mu.Lock()
	switch w.state {
	case waiting:
		b.queue.remove(w)
		if b.stopping && b.inFlight == 0 && b.queue.rows == 0 {
			b.finish()
		}
		b.mu.Unlock()
		w.release()
	case sent:
		w.abandoned = true // the sender releases it
		c := w.call
		c.present--
		cancel := c.cancel // nil: the call has not begun, and will not
		last := c.present == 0
		b.mu.Unlock()
		if last && cancel != nil {
			cancel()
		}
	default:
		b.mu.Unlock()
		return false
	}
	b.metrics.abandoned.Inc()
	return true
}

// ask calls the scorer and makes sure that the answer fits the question. A
// panic must not take down the requests of others.
func (b *Batch) ask(ctx context.Context, rows []predict.Vector, explain bool) (scores predict.Scores, err error) {
	b.metrics.rows.Observe(float64(len(rows)))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the scorer panicked: %v\n%s", r, debug.Stack())
		}
	}()
	scores, err = b.scorer.Score(ctx, rows, explain)
	if err == nil && (len(scores.Score) != len(rows) || len(scores.Label) != len(rows) ||
		(scores.Contributions != nil && len(scores.Contributions) != len(rows))) {
		err = predict.Errorf(predict.BadModel, "the model answered %d rows with %d scores", len(rows), len(scores.Score))
	}
	return scores, err
}

// Stop refuses new requests, answers those that it has, and returns when that
// is done. Where ctx ends before, it cancels what is left and returns its error.
func (b *Batch) Stop(ctx context.Context) error {
	b.mu.Lock()
	b.stopping = true
	if b.inFlight == 0 && b.queue.rows == 0 {
		b.finish()
	}
	b.mu.Unlock()
	defer b.cancel()
	select {
	case <-b.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("requests for the model were cut off: %w", ctx.Err())
	}
}

// BatchStatus is what an operator asks of a Batch.
type BatchStatus struct {
	Slots    int // calls that may be in flight, as learned
	MaxSlots int
	InFlight int // slots taken
	Queued   int // rows that wait for a slot
	// Wait is how long it takes, as far as is known, until a request of few rows
	// that comes now has gone out. Large requests hardly count: it goes before them.
	// All is how long until all rows have that wait now.
	Wait, All time.Duration
	// Latency is the mean of recent calls, and Best the shortest. Row is what each
	// row adds to one, as learned.
	Latency, Best, Row time.Duration
	// Still is for how long all slots have been taken and no call has ended.
	Still time.Duration
}

// Status tells how things are now.
func (b *Batch) Status() BatchStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, _ := b.queue.before(1)
	s := BatchStatus{Slots: b.slots.limit, MaxSlots: b.slots.max, InFlight: b.inFlight,
		Queued: b.queue.rows, Wait: b.drain(before), All: b.drain(b.queue.rows), Latency: b.slots.mean, Best: b.slots.best,
		Row: time.Duration(b.cost.perRow * float64(time.Second))}
	if s.InFlight >= s.Slots {
		s.Still = time.Since(b.moved)
	}
	return s
}
