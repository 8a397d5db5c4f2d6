package scoring

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/budget"
	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
)

// # The rule of micro-batching
//
// A call of a remote model takes about as long for one row as for many, and the
// endpoint serves a limited number of calls at a time. A slot is the permission to
// have one call in flight.
//
//   - While a slot is free, a request is sent at once. With no call in flight it
//     runs in its caller's goroutine: Batch then adds a lock and two readings of
//     the clock. With calls in flight the goroutine first yields once, so that
//     runnable requests join its call. With none runnable, yielding returns at once.
//   - While all slots are taken, requests wait in a queue. When a slot is freed,
//     the queue leaves as one call of at most MaxRows rows and MaxBytes bytes; the
//     rest leaves with later calls. Where the rows make a call slow, calls have
//     fewer rows (cost.go).
//   - The number of slots is learned (concurrency.go), because the capacity of an
//     endpoint is not known in advance. MaxWait belongs to the learning and is no
//     timer: a call sent because of a timer while all slots are taken would wait in
//     the endpoint's queue, where no row can join it. When requests wait longer than
//     MaxWait on average, one more slot is tried sooner.
//
// Requests that share a call do not affect each other:
//
//   - A request of more rows than one call should have is split and its scores are
//     joined in order (split.go). Small requests go before large ones; every fourth
//     call begins with a large one.
//   - A call has a deadline of its own. A request whose caller leaves, or whose
//     deadline passes, is removed from the queue, or answered at once while the
//     call continues for the others. When no caller is left, the call is cancelled.
//   - A call that fails because of its content (BadModel, Invalid) is bisected until
//     the bad rows are found (bisect.go), within a budget, because with a broken
//     model all rows are bad.
//   - The queue is bounded, separately for small and large requests. A request that
//     finds it full, or cannot be answered before its deadline, fails at once.
//   - All scores of one request come from one model.
//   - A request with explain shares a call only with other requests with explain.
//
// A Batch has one queue, for one Scorer, and so for one endpoint, variant, schema
// and content type.

// BatchOptions set up a Batch. A zero value means the default.
type BatchOptions struct {
	MaxRows   int           // rows in a call; 256
	MaxWait   time.Duration // mean wait for a slot above which one slot more is tried soon; 2ms
	MaxBytes  int           // of a call's rows as CSV, by an estimate from above; 4 MB, the least that SageMaker takes
	MaxCalls  int           // most slots that may be learned; 64
	MaxQueued int           // rows that may wait for a slot, of small requests and of large ones; 8192
	Timeout   time.Duration // of a call; 2s

	// Link returns the context of a call that several requests share; it may add
	// values, such as a span with links to theirs. A call of one request runs in
	// that request's context, and Link is not called. May be nil.
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

// Batch is a Scorer over another one. It puts rows of concurrent requests into
// shared calls, by the rule at the top of this file.
type Batch struct {
	scorer  predict.Scorer
	o       BatchOptions
	metrics *batchMetrics
	base    context.Context // of shared calls; cancelled when Stop returns
	cancel  context.CancelFunc

	waiters sync.Pool // *waiter, for reuse within this Batch

	bisectBudget *budget.Budget // of the calls of a bisector

	mu          sync.Mutex
	queue       batchQueue
	concurrency concurrencyLimiter
	cost        cost
	inFlight    int       // slots taken
	asked       int       // rows of the calls in flight
	moved       time.Time // when a slot was last taken or a call last ended
	stopping    bool
	idle        chan struct{} // closed when Batch is stopping, no call is in flight and the queue is empty
}

// NewBatch makes a Batch over scorer. Its metrics are registered with reg; for
// several, wrap reg with a label that tells them apart.
func NewBatch(scorer predict.Scorer, o BatchOptions, reg prometheus.Registerer) *Batch {
	o = o.withDefaults()
	b := &Batch{scorer: scorer, o: o, concurrency: newConcurrencyLimiter(o.MaxCalls, o.MaxWait),
		bisectBudget: budget.Full(bisectPrice, bisectReserve), idle: make(chan struct{})}
	b.base, b.cancel = context.WithCancel(context.Background())
	b.queue.init(o.MaxRows, o.MaxBytes)
	b.metrics = newBatchMetrics(reg, b)
	return b
}

// Score implements predict.Scorer. A row that the model cannot score has its error
// in Scores.Errors where others of the same request have scores.
func (b *Batch) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
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
		t := b.concurrency.begin(now, 1)
		b.mu.Unlock()
		return b.alone(ctx, rows, explain, t)
	}
	w := b.newWaiter(ctx, rows, explain, now)
	mine := b.inFlight < b.concurrency.limit && b.queue.rows == 0
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

// alone makes the call of a single request in its caller's goroutine and context.
// The slot is taken already.
func (b *Batch) alone(ctx context.Context, rows []schema.Vector, explain bool, t ticket) (predict.Scores, error) {
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
		scores, err = b.bisectRows(ctx, rows, explain, err)
	}
	b.mu.Lock()
	b.learn(&t)
	if b.queue.rows > 0 && b.inFlight <= b.concurrency.limit {
		go b.serve() // with the same slot
	} else {
		b.free()
	}
	b.mu.Unlock()
	return scores, err
}

// serve makes calls with a slot that is taken already.
func (b *Batch) serve() {
	b.mu.Lock()
	c := b.cut()
	if c != nil {
		c.copyRows()
	}
	b.mu.Unlock()
	b.run(c)
}

// run makes one call after the other with the same slot, until the queue is empty
// or the limit has sunk.
func (b *Batch) run(c *call) {
	for c != nil {
		c = b.next(b.do(c))
	}
}

// next records a call that has ended and returns the next one for the same slot;
// nil if there is none, and then the slot is free.
func (b *Batch) next(t ticket) *call {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.learn(&t)
	if b.queue.rows == 0 || b.inFlight > b.concurrency.limit {
		b.free()
		return nil
	}
	// Yield first, so that the callers just answered and other runnable requests
	// join the next call. At saturation this halves the number of calls.
	b.mu.Unlock()
	runtime.Gosched()
	b.mu.Lock()
	c := b.cut()
	if c != nil {
		c.copyRows()
	}
	return c
}

// learn records a call that has ended, and uses the slots that this may add.
// b.mu is held.
func (b *Batch) learn(t *ticket) {
	b.concurrency.done(t)
	if t.outcome == scored {
		b.cost.observe(t.rows, t.begun, t.took)
		b.bisectBudget.Earn()
	}
	b.asked -= t.rows
	b.moved = t.begun.Add(t.took)
	b.open()
}

// open starts calls in free slots while requests wait. b.mu is held.
func (b *Batch) open() {
	for n := b.calls(b.queue.rows); n > 0 && b.inFlight < b.concurrency.limit; n-- {
		b.inFlight++
		b.moved = time.Now()
		go b.serve()
	}
}

// size returns the maximum number of rows of the next call. b.mu is held.
func (b *Batch) size() int {
	return b.cost.size(b.queue.rows+b.asked, b.concurrency.limit, b.o.MaxRows)
}

// rowsPerPart returns how many rows of a new request one call should have; a
// request with more is split. b.mu is held.
func (b *Batch) rowsPerPart(rows []schema.Vector) int {
	most := b.queue.rowsPerCall(rows)
	if len(rows) <= smallRows {
		return most
	}
	return b.cost.size(b.queue.rows+b.asked+len(rows), b.concurrency.limit, most)
}

// calls returns the minimum number of calls for a number of rows. b.mu is held.
func (b *Batch) calls(rows int) int {
	size := b.size()
	return (rows + size - 1) / size
}

// drain returns the shortest time in which a number of rows can be sent. b.mu is
// held.
func (b *Batch) drain(rows int) time.Duration {
	calls := b.calls(rows)
	took := time.Duration(calls) * b.concurrency.mean
	if b.cost.rowsCost() {
		took = b.cost.time(calls, rows)
	}
	return took / time.Duration(b.concurrency.limit)
}

// free releases a slot. b.mu is held.
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

// cut takes a call from the queue for a slot that is taken already. If the queue is
// empty it releases the slot and returns nil. b.mu is held.
func (b *Batch) cut() *call {
	now := time.Now()
	c, late := b.queue.cut(b.size(), b.cost.beside(b.o.MaxRows), now.Add(b.concurrency.best))
	for _, w := range late {
		b.metrics.late(w.ctx)
		w.answer(predict.Scores{}, leftError(w.ctx))
	}
	if c == nil {
		b.free()
		return nil
	}
	b.asked += c.size
	c.ticket = b.concurrency.begin(now, b.inFlight)
	for _, w := range c.waiters {
		c.ticket.waited += now.Sub(w.since)
	}
	b.open()
	return c
}

// wait waits for the answer, until the caller leaves or its deadline passes.
func (b *Batch) wait(ctx context.Context, w *waiter) (predict.Scores, error) {
	late := w.startTimer()
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
		<-w.done // the answer came at the same moment
	}
	scores, err := w.scores, w.err
	w.release()
	return scores, err
}

// leave removes a request that is no longer waited for. It reports false if the
// request has its answer already.
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
		w.abandoned = true // the goroutine of the call releases it
		c := w.call
		c.present--
		cancel := c.cancel // nil: the call has not begun; do cancels it
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

// ask calls the scorer and checks that the answer has as many scores as rows. A
// panic of the scorer becomes an error, because other requests share the process.
func (b *Batch) ask(ctx context.Context, rows []schema.Vector, explain bool) (scores predict.Scores, err error) {
	b.metrics.rows.Observe(float64(len(rows)))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the scorer panicked: %v\n%s", r, debug.Stack())
		}
	}()
	scores, err = b.scorer.Score(ctx, rows, explain)
	if err == nil && (len(scores.Score) != len(rows) || len(scores.Label) != len(rows) ||
		(scores.Contributions != nil && len(scores.Contributions) != len(rows))) {
		err = failure.Errorf(failure.BadModel, "the model answered %d rows with %d scores", len(rows), len(scores.Score))
	}
	return scores, err
}

// Stop refuses new requests and returns when those that it has are answered. If
// ctx ends earlier, Stop cancels the remaining calls and returns an error.
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

// BatchStatus is the state of a Batch.
type BatchStatus struct {
	Slots    int // calls that may be in flight, as learned
	MaxSlots int
	InFlight int // slots taken
	Queued   int // rows that wait for a slot
	// Wait is the estimated wait of a small request that arrives now. It goes before
	// large requests, so these hardly count. All is the estimated time until all
	// queued rows are sent.
	Wait, All time.Duration
	// Latency is the mean duration of recent calls, Best the shortest. Row is the
	// time that each row adds to a call, as learned.
	Latency, Best, Row time.Duration
	// Still is how long all slots have been taken without a call ending.
	Still time.Duration
}

// Status returns the current state.
func (b *Batch) Status() BatchStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, _ := b.queue.before(1)
	s := BatchStatus{Slots: b.concurrency.limit, MaxSlots: b.concurrency.max, InFlight: b.inFlight,
		Queued: b.queue.rows, Wait: b.drain(before), All: b.drain(b.queue.rows), Latency: b.concurrency.mean, Best: b.concurrency.best,
		Row: time.Duration(b.cost.perRow * float64(time.Second))}
	if s.InFlight >= s.Slots {
		s.Still = time.Since(b.moved)
	}
	return s
}
