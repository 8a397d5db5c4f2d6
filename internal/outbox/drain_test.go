package outbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/testsize"
)

func TestRowsReachTheDatabaseOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Options{})
		stop := b.run(t)
		want := newPredictions(0, 500)
		for _, p := range want {
			b.mustAppend(t, p)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		b.stored(t, want...)
		stop()
	})
}

func TestALoneRowIsDrainedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Options{})
		defer b.run(t)()
		time.Sleep(time.Hour)
		start := time.Now()
		b.mustAppend(t, newPrediction(0))
		time.Sleep(time.Second)
		synctest.Wait()
		if len(b.db.calls) != 1 || b.db.calls[0].at.Sub(start) > linger {
			t.Errorf("calls %v, want one within %v", b.db.calls, linger)
		}
	})
}

// TestADatabaseThatComesBackIsNotFlooded lets the database be away for an hour
// and holds how what waited then comes to it.
func TestADatabaseThatComesBackIsNotFlooded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const waiting = 20_000
		b := setup(t, Options{})
		b.db.delay = 20 * time.Millisecond
		defer b.run(t)()
		b.db.Fail(errDown)
		b.mustAppend(t, newPredictions(0, waiting)...)
		time.Sleep(time.Hour)
		synctest.Wait()
		if err := b.Check(t.Context()); !errors.Is(err, errDrain) {
			t.Errorf("while the database is away Check says %v", err)
		}
		if s := b.Stats(); s.Rows != waiting || s.Failing.IsZero() {
			t.Errorf("stats are %+v", s)
		}
		b.db.Fail(nil)
		back := time.Now()
		time.Sleep(time.Minute)
		synctest.Wait()

		calls := b.db.calls
		if len(calls) == 0 || calls[0].at.Sub(back) > maxPause+b.db.delay {
			t.Fatalf("the first batch came after %v", calls[0].at.Sub(back))
		}
		total := 0
		for i, c := range calls {
			total += c.rows
			if i > 0 && c.rows > 2*max(calls[i-1].rows, minBatch/2) || c.rows > maxBatch {
				t.Errorf("batch %d has %d rows after one of %d", i, c.rows, calls[i-1].rows)
			}
			if i > 0 && c.at.Sub(calls[i-1].at) < 2*b.db.delay {
				t.Errorf("batch %d came %v after the one before, and it takes %v: the database had no rest",
					i, c.at.Sub(calls[i-1].at), b.db.delay)
			}
		}
		if total != waiting {
			t.Errorf("%d rows came, want %d", total, waiting)
		}
		if err := b.Check(t.Context()); err != nil {
			t.Errorf("afterwards Check says %v", err)
		}
		if b.said("cannot drain") != 1 || b.said("is drained again") != 1 {
			t.Errorf("the log says\n%s", b.logs)
		}
	})
}

func TestRowsThatTheDatabaseRefusesAreSetAside(t *testing.T) {
	b := setup(t, Options{})
	all := newPredictions(0, 300)
	bad := map[string]bool{all[0].ID: true, all[100].ID: true, all[101].ID: true, all[299].ID: true}
	b.db.refuse = func(p predict.Prediction) error {
		if bad[p.ID] {
			return failure.Errorf(failure.Invalid, "a value cannot be stored")
		}
		return nil
	}
	b.mustAppend(t, all...)
	b.mustDrain(t)
	var good []predict.Prediction
	for _, p := range all {
		if !bad[p.ID] {
			good = append(good, p)
		}
	}
	b.stored(t, good...)
	if s := b.Stats(); s.SetAside != 4 {
		t.Errorf("%d rows were set aside, want 4", s.SetAside)
	}
	if b.said("it was set aside") != 4 {
		t.Errorf("the log says\n%s", b.logs)
	}

	if names := b.files(t, refusedFolder); len(names) != 1 {
		t.Errorf("refused has the files %v, want one for all rows", names)
	}
}

// TestRefusedRowsAreMovedBack repairs what made the database refuse rows, and
// moves their files into the folder again, after other rows and other starts.
func TestRefusedRowsAreMovedBack(t *testing.T) {
	b := setup(t, Options{})
	db := b.db
	reject := func(predict.Prediction) error { return failure.Errorf(failure.Invalid, "a value cannot be stored") }
	const n = 5
	for i := range n { // the first row of each segment is a refused one
		db.refuse = reject
		b.mustAppend(t, newPrediction(2*i))
		b.mustDrain(t)
		db.refuse = nil
		b.mustAppend(t, newPrediction(2*i+1))
		b.mustDrain(t)
		b = b.crash(t, Options{})
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	names := b.files(t, refusedFolder)
	if len(names) != n {
		t.Fatalf("refused has %v, want a file of each start", names)
	}
	for i, name := range names {
		to := name // its own is free
		if i%2 == 1 {
			to = segmentName(uint64(1000 + i))
		}
		if _, err := os.Lstat(filepath.Join(b.dir, to)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is not free: %v", to, err)
		}
		if err := os.Rename(filepath.Join(b.dir, refusedFolder, name), filepath.Join(b.dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	b = openBench(t, b.dir, db, Options{})
	b.mustDrain(t)
	found := map[string]bool{}
	for _, p := range db.Predictions() {
		found[p.ID] = true
	}
	if len(found) != 2*n {
		t.Errorf("the database has %d rows, want all %d", len(found), 2*n)
	}
}

// A fault that is not classified must neither block those behind it nor, where
// it is the database's, cost a row.
func TestARowThatFailsForAnUnknownReasonDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Options{})
		defer b.run(t)()
		all := newPredictions(0, 200)
		b.db.refuse = func(p predict.Prediction) error {
			if p.ID == all[50].ID {
				return errors.New("a trigger of the operator's")
			}
			return nil
		}
		b.mustAppend(t, all...)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := len(b.db.Predictions()); got != 199 || b.Stats().SetAside != 1 || b.Stats().Rows != 0 {
			t.Errorf("%d rows stored, stats %+v; want all but one", got, b.Stats())
		}
		b.db.refuse = nil
		b.db.Fail(errDown)
		b.mustAppend(t, newPredictions(1000, 50)...)
		outage := testsize.Of(time.Hour, 24*time.Hour)
		time.Sleep(outage)
		synctest.Wait()
		if s := b.Stats(); s.SetAside != 1 || s.Rows != 50 {
			t.Errorf("after %v without a database the stats are %+v, want no row set aside", outage, s)
		}
		b.db.Fail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := len(b.db.Predictions()); got != 249 {
			t.Errorf("%d rows stored, want 249", got)
		}
	})
}

// The database recovers just when those behind the row are tried.
func TestARowIsNotSetAsideForAFaultThatPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Options{})
		defer b.run(t)()
		all := newPredictions(0, 20)
		stored := 0
		b.db.refuse = func(p predict.Prediction) error {
			if p.ID == all[0].ID && stored < suspectNext {
				return errors.New("no room")
			}
			stored++
			return nil
		}
		b.mustAppend(t, all...)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s := b.Stats(); s.SetAside != 0 || s.Rows != 0 || len(b.db.Predictions()) != len(all) {
			t.Errorf("%d rows stored, stats %+v; want all of them", len(b.db.Predictions()), s)
		}
	})
}

func TestStoppingDrainsWhatTheTimeAllows(t *testing.T) {
	b := setup(t, Options{})
	b.mustAppend(t, newPredictions(0, 3000)...)
	b.mustDrain(t)
	b.stored(t, newPredictions(0, 3000)...)

	b.mustAppend(t, newPredictions(3000, 10)...)
	b.db.Fail(errDown)
	if err := b.Drain(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("got %v, want what the database says", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	b.db.Fail(nil)
	if err := b.Drain(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if rows := b.Stats().Rows; rows != 10 {
		t.Errorf("%d rows wait, want the 10 that are left", rows)
	}
	next := b.crash(t, Options{})
	next.mustDrain(t)
	next.stored(t, newPredictions(0, 3010)...)
}

// A database in this process has its last second in memory only: at a power
// cut, whenever it comes, the outbox has what the database loses.
func TestAPowerCutLosesNothingThatTheDatabaseHadNotFlushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := Options{MaxBytes: 8 << 20}
		b := setup(t, options)
		b.options.Flush = b.db.Flush
		b.journal.segmentSize = 32 << 10 // several are drained between two flushes
		all := newPredictions(0, testsize.Of(1500, 5000))
		b.mustAppendEach(t, all)
		defer b.run(t)()
		least := len(b.files(t, ""))
		for lost, cuts := 0, 0; b.Stats().Rows > 0 || lost > 0; cuts++ {
			time.Sleep(137 * time.Millisecond)
			synctest.Wait()
			kept := b.db.Flushed()
			lost = len(b.db.Predictions()) - len(kept)
			after := b.crash(t, options)
			after.db = newDatabase()
			after.ledger = after.db
			if err := after.db.Append(t.Context(), kept); err != nil {
				t.Fatal(err)
			}
			after.mustDrain(t)
			after.stored(t, all...)
			least = min(least, len(b.files(t, "")))
			if cuts > 1000 {
				t.Fatal("it is not drained")
			}
		}
		if least > 1 {
			t.Errorf("there were always %d segments: none was removed once it was flushed", least)
		}
	})
}

func TestRowsStayWhileTheDatabaseDoesNotFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Options{MaxBytes: 8 << 20})
		var works atomic.Bool
		b.options.Flush = func(context.Context) error {
			if !works.Load() {
				return errors.New("the disk is full")
			}
			return nil
		}
		b.journal.segmentSize = 32 << 10
		b.mustAppendEach(t, newPredictions(0, 1000))
		defer b.run(t)()
		segments := len(b.files(t, ""))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := len(b.files(t, "")); got != segments || b.Stats().Rows != 0 {
			t.Errorf("of %d segments %d are left, and %d rows wait; want all, and none", segments, got, b.Stats().Rows)
		}
		if n := b.said("cannot remove drained rows"); n != 1 {
			t.Errorf("it was said %d times, want once", n)
		}
		works.Store(true)
		time.Sleep(flushEvery)
		synctest.Wait()
		if got := len(b.files(t, "")); got != 1 || b.said("are removed from the outbox again") != 1 {
			t.Errorf("%d segments are left after a flush, want the one that is written", got)
		}
	})
}

func TestIntervalFlushesEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Options{Sync: Interval})
		defer b.run(t)()
		b.mustAppend(t, newPrediction(0))
		dirty := func() (is bool) {
			_ = b.journal.exclusively(func() error { is = b.journal.dirty; return nil })
			return is
		}
		if !dirty() {
			t.Fatal("it was flushed at once")
		}
		time.Sleep(flushEvery + time.Millisecond)
		synctest.Wait()
		if dirty() {
			t.Error("it was not flushed")
		}
	})
}

func TestTheOldestAgeGrowsAndGoesBack(t *testing.T) {
	b := setup(t, Options{})
	if !b.Stats().Oldest.IsZero() {
		t.Errorf("an empty outbox has the oldest row %v", b.Stats().Oldest)
	}
	b.mustAppend(t, newPredictions(5, 100)...)
	if got, want := b.Stats().Oldest, newPrediction(5).CreatedAt; !got.Equal(want) {
		t.Errorf("oldest is %v, want %v", got, want)
	}
	b.mustDrain(t)
	b.mustAppend(t, newPrediction(200))
	if got, want := b.Stats().Oldest, newPrediction(200).CreatedAt; !got.Equal(want) {
		t.Errorf("oldest is %v, want %v", got, want)
	}
}

func Example_format() {
	// The name of a segment tells its place, and nothing else does.
	fmt.Println(segmentName(42), segmentNumber("0000000000000042.seg"), segmentNumber("position"))
	// Output: 0000000000000042.seg 42 0
}

const gentle = 64

// TestADatabaseInsideTakesTurnsWithPredictions holds how much of the time is
// the drain's, by how full the outbox is.
func TestADatabaseInsideTakesTurnsWithPredictions(t *testing.T) {
	for _, tt := range []struct {
		full        float64
		inside      bool
		slow        bool    // a batch takes longer than the drainer rests at most
		least, most float64 // share of the time
		rows        int     // of the first batch
	}{
		{full: 0.2, inside: true, least: 0.028, most: 0.0301, rows: gentle},
		{full: 0.37, inside: true, least: 0.028, most: 0.0301, rows: gentle},
		{full: 0.44, inside: true, least: 0.135, most: 0.145, rows: 97},
		{full: 0.5, inside: true, least: 0.235, most: 0.251, rows: fullerBatch},
		{full: 0.7, inside: true, least: 0.99, most: 1, rows: fullBatch},
		{full: 0.2, inside: true, slow: true, least: 0.49, most: 0.501, rows: gentle},
		{full: 0.2, least: 0.49, most: 0.501, rows: maxBatch},
		{full: 0.6, least: 0.99, most: 1, rows: maxBatch},
	} {
		t.Run(fmt.Sprintf("%v full, inside: %v, slow: %v", tt.full, tt.inside, tt.slow), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const rows = 10 * maxBatch
				b := setup(t, Options{Gentle: gentle})
				if tt.inside {
					b.options.Flush = b.db.Flush
				}
				b.mustAppend(t, newPredictions(0, rows)...)
				calls := b.predict(t, rows)
				b.options.MaxBytes = int64(float64(b.Stats().Bytes) / tt.full)
				b.drain.rows = maxBatch
				b.db.delay = 20 * time.Millisecond
				switch {
				case tt.slow:
					b.db.delay = maxRestInside
				case tt.inside:
					b.db.delay = 500 * time.Microsecond
				}
				stop := b.run(t)
				time.Sleep(5 * time.Second)
				stop()
				all := rows + calls()
				b.mustDrain(t) // the rest, without pauses
				b.stored(t, newPredictions(0, all)...)
				share := float64(b.db.delay) / float64(b.db.calls[1].at.Sub(b.db.calls[0].at))
				if share < tt.least || share > tt.most {
					t.Errorf("of the time %.3f is work, want %v to %v", share, tt.least, tt.most)
				}
				if first := b.db.calls[0].rows; first != tt.rows {
					t.Errorf("the first batch has %d rows, want %d", first, tt.rows)
				}
			})
		})
	}
}

// Rows gather for a while, unless there are enough for a full batch.
func TestAFullBatchDoesNotLinger(t *testing.T) {
	for _, tt := range []struct {
		rows   int
		inside bool
		within time.Duration
	}{
		{1, false, linger}, {minBatch - 1, false, linger}, {minBatch, false, recheck},
		{1, true, lingerInside}, {gentle - 1, true, lingerInside}, {gentle, true, recheck},
	} {
		t.Run(fmt.Sprintf("%d rows, inside: %v", tt.rows, tt.inside), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, Options{Gentle: gentle})
				if tt.inside {
					b.options.Flush = b.db.Flush
				}
				defer b.run(t)()
				time.Sleep(time.Minute)
				synctest.Wait()
				b.mustAppend(t, newPredictions(0, tt.rows)...)
				start := time.Now()
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := b.db.calls[0].at.Sub(start); got != tt.within {
					t.Errorf("they were stored after %v, want %v", got, tt.within)
				}
			})
		})
	}
}

// predict appends predictions at 500 calls a second, beginning with a number, until stop is
// called, which returns how many there were.
func (b *bench) predict(t *testing.T, from int) (stop func() int) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() {
		every := time.NewTicker(2 * time.Millisecond)
		defer every.Stop()
		for n := 0; ; n++ {
			select {
			case <-every.C:
				b.mustAppend(t, newPrediction(from+n))
			case <-ctx.Done():
				ended <- n
				return
			}
		}
	}()
	return func() int { cancel(); return <-ended }
}

// TestABacklogIsDrainedWithoutRestsWhileNoPredictionsCome holds that a database in this process
// stores a backlog without rests, as after a large call, and that predictions end that at once.
func TestABacklogIsDrainedWithoutRestsWhileNoPredictionsCome(t *testing.T) {
	for _, tt := range []struct{ processors, rows int }{{1, gentle}, {2, fullerBatch}} {
		t.Run(fmt.Sprintf("%d processors", tt.processors), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(tt.processors))
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, Options{Gentle: gentle})
				b.options.Flush = b.db.Flush
				b.db.delay = time.Millisecond
				b.mustAppend(t, newPredictions(0, 200*maxBatch)...)
				defer b.run(t)()
				time.Sleep(200 * time.Millisecond)
				synctest.Wait()
				calls := b.db.Calls()
				for i, c := range calls[2:] { // after the first, which doubles
					if gap := c.at.Sub(calls[i+1].at); c.rows != tt.rows || gap != b.db.delay {
						t.Fatalf("batch %d has %d rows and came after %v, want %d after %v", i+2, c.rows, gap, tt.rows, b.db.delay)
					}
				}
				before := len(calls)
				stop := b.predict(t, 200*maxBatch)
				time.Sleep(time.Second)
				synctest.Wait()
				if n := len(b.db.Calls()) - before; n < 15 || n > 40 {
					t.Errorf("%d batches were stored in a second with predictions, want about one in %v", n, maxRestInside)
				}
				stop()
				before = len(b.db.Calls())
				time.Sleep(200 * time.Millisecond)
				synctest.Wait()
				if n := len(b.db.Calls()) - before; n < 150 {
					t.Errorf("%d batches were stored in 200 ms after the last prediction, want one a millisecond", n)
				}
			})
		})
	}
}
