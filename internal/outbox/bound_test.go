package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
)

func TestAtTheBoundTheOldestAreDropped(t *testing.T) {
	b := setup(t, Options{MaxBytes: MinBytes, Policy: DropOldest, Sync: Interval})
	const n = 20_000
	for i := 0; i < n; i += 10 {
		b.mustAppend(t, newPredictions(i, 10)...)
		if s := b.Stats(); s.Bytes > MinBytes {
			t.Fatalf("%d bytes wait, the bound is %d", s.Bytes, MinBytes)
		}
	}
	s := b.Stats()
	if s.Dropped == 0 || s.Dropped+int64(s.Rows) != n {
		t.Errorf("%d rows dropped and %d wait, want %d in all", s.Dropped, s.Rows, n)
	}
	if s.Bytes < MinBytes*3/4 {
		t.Errorf("only %d bytes wait: it drops more than it must", s.Bytes)
	}
	if err := b.Check(t.Context()); !errors.Is(err, errFull) {
		t.Errorf("Check says %v", err)
	}
	b.mustDrain(t)
	b.stored(t, newPredictions(int(s.Dropped), n-int(s.Dropped))...)
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("afterwards Check says %v", err)
	}
	if b.said("is full") != 1 || b.said("has room again") != 1 {
		t.Errorf("the log says\n%s", b.logs)
	}
}

func TestAtTheBoundCallersAreRefused(t *testing.T) {
	b := setup(t, Options{MaxBytes: MinBytes, Policy: Refuse, Sync: Interval})
	taken := 0
	var err error
	for ; err == nil; taken++ {
		err = b.Append(t.Context(), newPredictions(taken, 1))
	}
	taken--
	var e *failure.Error
	if !errors.As(err, &e) || e.Kind != failure.Unavailable || e.RetryAfter == 0 {
		t.Fatalf("got %v, want a refusal with a time to try again", err)
	}
	if err := b.Append(t.Context(), newPredictions(taken, 1)); err == nil {
		t.Error("a second was taken")
	}
	if s := b.Stats(); s.Dropped != 0 || s.Rows != taken || s.Bytes > MinBytes {
		t.Errorf("stats are %+v with %d taken", s, taken)
	}
	b.mustDrain(t)
	b.stored(t, newPredictions(0, taken)...)
	b.mustAppend(t, newPrediction(taken))
	if b.said("is full") != 1 || b.said("has room again") != 1 {
		t.Errorf("the log says\n%s", b.logs)
	}
}

func TestACallLargerThanTheBoundIsNotTaken(t *testing.T) {
	for _, policy := range []Policy{DropOldest, Refuse} {
		b := setup(t, Options{MaxBytes: MinBytes, Policy: policy})
		b.mustAppend(t, newPrediction(0))
		err := b.Append(t.Context(), newPredictions(1, 20_000))
		if (err != nil) != (policy == Refuse) {
			t.Errorf("%s: got %v", policy, err)
		}
		b.mustDrain(t)
		b.stored(t, newPrediction(0))
	}
}

// Rows that the drainer holds when their segment is dropped are counted once:
// as stored or as dropped.
func TestRowsThatAreDroppedWhileTheyAreDrainedAreCountedOnce(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprintf("the database fails: %v", fails), func(t *testing.T) {
			b := setup(t, Options{MaxBytes: MinBytes})
			total := 0
			fill := func() {
				for dropped := b.Stats().Dropped; b.Stats().Dropped == dropped; total += 10 {
					b.mustAppend(t, newPredictions(total, 10)...)
				}
			}
			var once sync.Once
			b.db.refuse = func(predict.Prediction) error {
				once.Do(fill)
				if fails {
					return errDown
				}
				return nil
			}
			for total < 3000 {
				b.mustAppend(t, newPredictions(total, 10)...)
				total += 10
			}
			_, err := b.store(t.Context(), b.batchRows())
			if (err != nil) != fails {
				t.Fatal(err)
			}
			b.db.refuse = nil
			b.mustDrain(t)
			s := b.Stats()
			if got := len(b.db.Predictions()) + int(s.Dropped); got != total || s.Dropped == 0 {
				t.Errorf("%d stored and %d dropped, want %d in all", len(b.db.Predictions()), s.Dropped, total)
			}
		})
	}
}

// TestManyRowsGoAtThePaceOfTheDatabase appends ten times what the outbox holds.
// Nothing is lost, and there is always room for others.
func TestManyRowsGoAtThePaceOfTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Options{MaxBytes: MinBytes, Policy: Refuse, Sync: Interval})
		b.db.delay = 10 * time.Millisecond
		defer b.run(t)()
		const n, chunk = 60_000, 250
		for i := 0; i < n; i += chunk {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if err := b.Append(ctx, newPredictions(i, chunk)); err != nil {
				t.Fatal(err)
			}
			cancel()
			if s := b.Stats(); s.Bytes > MinBytes*3/4 {
				t.Fatalf("%d bytes wait: others have no room", s.Bytes)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := len(b.db.Predictions()); got != n {
			t.Errorf("the database has %d rows, want %d", got, n)
		}
	})
}

// TestCallsThatWaitTogetherShareOneFlush holds the lead, so that what comes
// meanwhile must end up in one group: nothing depends on timing.
func TestCallsThatWaitTogetherShareOneFlush(t *testing.T) {
	b := setup(t, Options{Sync: Always})
	b.mustAppend(t, newPrediction(1000)) // the segment is there
	size := b.journal.segments[0].size
	hold, held := make(chan struct{}), make(chan struct{})
	ended := make(chan error)
	go func() {
		ended <- b.journal.exclusively(func() error { close(held); <-hold; return nil })
	}()
	<-held
	const callers = 50
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() { b.mustAppend(t, newPredictions(2*i, 2)...) })
	}
	for joined := 0; joined < 2*callers; {
		b.journal.mu.Lock()
		if g := b.journal.gathering; g != nil {
			joined = len(g.keys)
		}
		b.journal.mu.Unlock()
	}
	if s := b.Stats(); s.Rows != 2*callers+1 {
		t.Errorf("%d rows wait, want those that are not written yet as well", s.Rows)
	}
	flushes := &countingFile{}
	b.journal.metrics.fsync = flushes
	close(hold)
	all.Wait()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if n := flushes.n.Load(); n != 1 {
		t.Errorf("%d flushes, want one for all", n)
	}
	if got := b.journal.segments[0].size; got <= size || len(b.journal.segments[0].keys) != 2*callers+1 {
		t.Errorf("the segment has %d rows", len(b.journal.segments[0].keys))
	}
	b.mustDrain(t)
	if got := len(b.db.Predictions()); got != 2*callers+1 {
		t.Errorf("the database has %d rows", got)
	}
}

func TestManyCallersAtOnceLoseNothing(t *testing.T) {
	b := setup(t, Options{MaxBytes: 4 * MinBytes, Sync: Interval})
	stop := b.run(t)
	const callers, calls = 32, 50
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := range calls {
				b.mustAppend(t, newPrediction(c*calls+i))
			}
		})
	}
	all.Wait()
	stop()
	next := b.crash(t, Options{})
	next.mustDrain(t)
	seen := map[string]bool{}
	for _, p := range b.db.Predictions() {
		seen[p.ID] = true
	}
	if len(seen) != callers*calls {
		t.Errorf("the database has %d rows, want %d", len(seen), callers*calls)
	}
}

// countingFile counts observations in place of a histogram.
type countingFile struct {
	histogram
	n atomic.Int64
}

func (c *countingFile) Observe(float64) { c.n.Add(1) }
