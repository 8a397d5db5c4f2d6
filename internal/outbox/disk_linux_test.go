package outbox

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gateway/internal/disktest"
	"gateway/internal/failure"
	"gateway/internal/predict"
)

func TestAFullDiskFollowsThePolicy(t *testing.T) {
	t.Run("refuse", func(t *testing.T) {
		b := openBench(t, disktest.New(t, 256<<10), newDatabase(), Options{Policy: Refuse})
		taken := 0
		var err error
		for ; err == nil && taken < 100_000; taken++ {
			err = b.Append(t.Context(), newPredictions(taken, 1))
		}
		taken--
		var e *failure.Error
		if !errors.As(err, &e) || e.Kind != failure.Unavailable || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v after %d, want a refusal because the disk is full", err, taken)
		}
		if b.Check(t.Context()) == nil || b.said("cannot write") != 1 {
			t.Errorf("Check says %v, the log\n%s", b.Check(t.Context()), b.logs)
		}
		b.mustDrain(t)
		b.stored(t, newPredictions(0, taken)...)
	})
	t.Run("drop-oldest", func(t *testing.T) {
		b := openBench(t, disktest.New(t, 1<<20), newDatabase(), Options{MaxBytes: 4 * MinBytes, Sync: Interval})
		const n = 20_000
		for i := range n {
			b.mustAppend(t, newPrediction(i))
		}
		s := b.Stats()
		if s.Dropped == 0 || s.Dropped+int64(s.Rows) != n {
			t.Errorf("stats are %+v, want %d in all", s, n)
		}
		b.mustDrain(t)
		got := b.db.Predictions()
		if last := got[len(got)-1].ID; last != newPrediction(n-1).ID {
			t.Errorf("the newest row is %s", last)
		}
	})
	t.Run("nothing that was taken back comes again", func(t *testing.T) {
		dir := disktest.New(t, 256<<10)
		b := openBench(t, dir, newDatabase(), Options{Policy: Refuse})
		large := newPrediction(0)
		large.Features = []byte(`{"x":"` + strings.Repeat("x", 200<<10) + `"}`)
		b.mustAppend(t, newPrediction(1))
		filler := dir + "/filler"
		if err := os.WriteFile(filler, make([]byte, 100<<10), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := b.Append(t.Context(), []predict.Prediction{large}); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v, want a full disk", err)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		b.mustAppend(t, newPrediction(2))
		next := b.crash(t, Options{})
		if next.said("damaged") != 0 || next.said("incomplete end") != 0 {
			t.Errorf("the segment is not sound: %s", next.logs)
		}
		next.mustDrain(t)
		next.stored(t, newPrediction(1), newPrediction(2))
	})
}

// TestAFullDiskIsReportedOnce fills the disk and lets the outbox run on it for a
// while. That it can be written again is said once rows are.
func TestAFullDiskIsReportedOnce(t *testing.T) {
	for _, sync := range []Sync{Always, Interval} {
		for _, policy := range []Policy{Refuse, DropOldest} {
			t.Run(fmt.Sprintf("%s, %s", sync, policy), func(t *testing.T) {
				dir := disktest.New(t, 256<<10)
				synctest.Test(t, func(t *testing.T) {
					b := openBench(t, dir, newDatabase(), Options{Policy: policy, Sync: sync})
					defer b.run(t)()
					b.db.Fail(errDown)
					filler := dir + "/filler"
					if err := os.WriteFile(filler, make([]byte, 240<<10), 0o600); err != nil {
						t.Fatal(err)
					}
					row, rows := 0, 10 // first calls of rows that do not fit, then of those that may
					for range 60 {
						for range 20 {
							_ = b.Append(t.Context(), newPredictions(row, rows)) // a row may be refused
							row += rows
						}
						rows = 11 - rows
						time.Sleep(time.Second)
						synctest.Wait()
					}
					if b.said("cannot write") != 1 || b.said("can be written again") != 0 || b.said("the outbox is full") != 0 {
						t.Errorf("on a full disk the log says\n%s", b.logs)
					}
					if err := b.Check(t.Context()); err == nil {
						t.Error("on a full disk Check says nothing")
					}
					if err := os.Remove(filler); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
					synctest.Wait()
					if b.said("can be written again") != 0 {
						t.Errorf("before a row came the log says\n%s", b.logs)
					}
					b.mustAppend(t, newPrediction(row))
					if b.said("can be written again") != 1 {
						t.Errorf("after a row was written the log says\n%s", b.logs)
					}
				})
			})
		}
	}
}

// A flush that fails is not forgotten by the next one, which a kernel lets
// succeed: the file of the rows is not written any more.
func TestAFlushThatFailsIsReportedUntilAnotherSucceeds(t *testing.T) {
	b := setup(t, Options{Sync: Interval})
	b.mustAppend(t, newPrediction(0))
	file := b.journal.file
	pipe, writer, err := os.Pipe() // cannot be flushed
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	b.journal.file = writer
	b.tick(t.Context())
	if b.said("cannot flush") != 1 || b.Check(t.Context()) == nil || b.journal.active != nil {
		t.Errorf("Check says %v, the log\n%s", b.Check(t.Context()), b.logs)
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
	b.tick(t.Context())
	if b.said("flushed again") != 0 {
		t.Errorf("without another row the log says\n%s", b.logs)
	}
	b.mustAppend(t, newPrediction(1))
	b.tick(t.Context())
	if err := b.Check(t.Context()); b.said("flushed again") != 1 || err != nil {
		t.Errorf("Check says %v, the log\n%s", err, b.logs)
	}
	b.mustDrain(t)
	b.stored(t, newPredictions(0, 2)...)
}
