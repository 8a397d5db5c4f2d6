package store

import (
	"context"
	"sync"
	"sync/atomic"

	"gateway/internal/predict"
)

const (
	// maxQueuedCalls bounds the calls of Append that wait; more wait to wait.
	maxQueuedCalls = 1024
	// maxGroupRows ends the gathering of a group, so that no caller waits for
	// an endless transaction. A single call may be larger.
	maxGroupRows = 4096
)

// committer gathers calls of Append into groups, each to be written in one
// transaction. Its one goroutine writes a group; what arrives meanwhile is the
// next one. So a lone call is written at once, and under load the groups grow
// by themselves to what the disk needs; there is no window to tune.
type committer struct {
	queue   chan *appendCall
	write   func(first *appendCall)
	closing chan struct{} // closed: nothing more is taken in
	ended   chan struct{} // closed: nothing more is written
	once    sync.Once

	groups, rows atomic.Int64 // committed so far
}

// newCommitter starts a committer. write gets the first call of a group,
// gathers more, and finishes all of them.
func newCommitter(write func(first *appendCall)) *committer {
	c := &committer{
		queue:   make(chan *appendCall, maxQueuedCalls),
		write:   write,
		closing: make(chan struct{}),
		ended:   make(chan struct{}),
	}
	go c.run()
	return c
}

func (c *committer) run() {
	defer close(c.ended)
	for {
		select {
		case first := <-c.queue:
			c.write(first)
		case <-c.closing:
			for {
				select {
				case first := <-c.queue:
					c.write(first)
				default:
					return
				}
			}
		}
	}
}

// close writes what waits and ends the goroutine.
func (c *committer) close() {
	c.once.Do(func() { close(c.closing) })
	<-c.ended
}

// enqueue lets a call wait for its group.
func (c *committer) enqueue(ctx context.Context, predictions []predict.Prediction) (*appendCall, error) {
	select { // the select below picks at random where several are ready
	case <-c.closing:
		return nil, ErrClosed
	default:
	}
	call := &appendCall{predictions: predictions, done: make(chan struct{})}
	select {
	case c.queue <- call:
		return call, nil
	case <-c.closing:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// wait returns the call's result. If ctx ends first, the call is withdrawn; one
// that is being written already is waited for instead, because only so the
// caller learns what became of it and may have its slice back.
func (c *committer) wait(ctx context.Context, call *appendCall) error {
	select {
	case <-call.done:
	case <-ctx.Done():
		if call.withdraw() {
			return ctx.Err()
		}
	case <-c.ended: // it came into the queue when nobody looked any more
		if call.withdraw() {
			return ErrClosed
		}
	}
	<-call.done
	return call.err
}

// gather claims first and what else waits.
func (c *committer) gather(first *appendCall) []*appendCall {
	var calls []*appendCall
	rows := 0
	for call := first; ; {
		if call.claim() {
			calls = append(calls, call)
			rows += len(call.predictions)
		}
		if rows >= maxGroupRows {
			return calls
		}
		select {
		case call = <-c.queue:
		default:
			return calls
		}
	}
}

// appendCall is one call of Append.
type appendCall struct {
	predictions []predict.Prediction
	taken       atomic.Bool   // by the committer or, withdrawn, by its caller
	done        chan struct{} // closed by finish
	err         error         // set before done is closed
}

// claim makes the call the committer's, which then must finish it.
func (a *appendCall) claim() bool { return a.taken.CompareAndSwap(false, true) }

// withdraw makes the call nobody's, unless it is the committer's.
func (a *appendCall) withdraw() bool { return a.claim() }

// finish hands the result to the waiting caller.
func (a *appendCall) finish(err error) {
	a.err = err
	close(a.done)
}
