package learn

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// parallel runs task(0) … task(n-1) on as many goroutines as there are
// processors and returns when all are done.
//
// Which goroutine runs a task is left to chance. Results stay identical, bit
// for bit, on any number of processors because of two rules every caller
// keeps: a task writes only to memory that is its own, and the way work is cut
// into tasks depends on the data alone. Floating-point sums made by several
// tasks are added up afterwards, in task order.
func parallel(n int, task func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers <= 1 {
		for i := range n {
			task(i)
		}
		return
	}
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			task(i)
		}
	}
	var wg sync.WaitGroup
	// All are new goroutines: one that shared the caller's processor with
	// busy work here would not be picked up by another for a while.
	for range workers {
		wg.Go(work)
	}
	wg.Wait()
}

// shards is how many pieces a pass over all rows is cut into: enough to keep
// many processors busy, few enough that adding up the pieces costs nothing.
const shards = 16

// shard returns the half-open range of rows that piece i of a pass covers.
func shard(i, rows int) (begin, end int) {
	return i * rows / shards, (i + 1) * rows / shards
}
