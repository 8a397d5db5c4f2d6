package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gateway/internal/predict"
)

// tailLedger is a ledger of which a tail reads.
type tailLedger struct {
	mu    sync.Mutex
	rows  []predict.Recorded // in the order in which they came
	reads int
	err   error
}

func (l *tailLedger) find(_ context.Context, q predict.Search) (found predict.Found, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	for _, p := range l.rows {
		if !p.CreatedAt.Before(q.From) {
			found.Predictions = append(found.Predictions, p)
		}
	}
	slices.SortFunc(found.Predictions, func(a, b predict.Recorded) int { return strings.Compare(b.ID, a.ID) })
	if len(found.Predictions) > q.Limit {
		found.Predictions = found.Predictions[:q.Limit]
		found.Next.ID = found.Predictions[q.Limit-1].ID
	}
	return found, l.err
}

// add adds predictions that were made some time ago.
func (l *tailLedger) add(n int, ago time.Duration, customer, model string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		at := time.Now().Add(-ago)
		id := fmt.Sprintf("%020d-%06d", at.UnixMicro(), len(l.rows)) // ids ascend with time
		l.rows = append(l.rows, predict.Recorded{Prediction: predict.Prediction{ID: id, CreatedAt: at, CustomerID: customer, Model: model}})
	}
}

func (l *tailLedger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// read returns the next batch of a page, in a bubble whose other goroutines wait.
func (w *tailWatcher) read(t *testing.T) tailBatch {
	t.Helper()
	synctest.Wait()
	select {
	case b := <-w.batches:
		return b
	default:
		t.Fatal("the page is told nothing")
		return tailBatch{}
	}
}

func (w *tailWatcher) quiet(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case b := <-w.batches:
		t.Fatalf("the page is told %d rows, %d lost, gap %v, failing %v; want nothing", len(b.rows), b.lost, b.gap, b.failing)
	default:
	}
}

// pass lets the time of a number of reads pass.
func pass(reads int) {
	time.Sleep(time.Duration(reads) * tailEvery) // of the bubble's clock
	synctest.Wait()
}

func want(t *testing.T, b tailBatch, rows, lost int, gap bool) {
	t.Helper()
	if len(b.rows) != rows || b.lost != lost || b.gap != gap {
		t.Errorf("the page is told %d rows, %d lost, gap %v; want %d, %d, %v", len(b.rows), b.lost, b.gap, rows, lost, gap)
	}
}

// watching runs a test with a tail whose pages have left at its end.
func watching(t *testing.T, do func(t *testing.T, l *tailLedger, tail *tail)) {
	synctest.Test(t, func(t *testing.T) {
		l := &tailLedger{}
		tl := &tail{find: l.find}
		defer func() { // also of a test that fails, which would not end while the ledger is read
			for w := range tl.watchers {
				tl.leave(w)
			}
			pass(2)
			if tl.running {
				t.Error("the ledger is read without a page")
			}
		}()
		do(t, l, tl)
	})
}

func TestOneReadASecondServesAllPages(t *testing.T) {
	watching(t, func(t *testing.T, l *tailLedger, tail *tail) {
		pages := []*tailWatcher{tail.join(tailFilter{}), tail.join(tailFilter{}), tail.join(tailFilter{})}
		pass(10)
		if l.reads != 11 {
			t.Errorf("3 pages have read the ledger %d times in 10 seconds, want once at first and once a second", l.reads)
		}
		for _, page := range pages {
			tail.leave(page)
		}
		pages[0] = tail.join(tailFilter{}) // before the reads have stopped
		pass(10)
		if l.reads > 22 {
			t.Errorf("a page that left and came again reads more than once a second: %d reads", l.reads-11)
		}
		tail.leave(pages[0])
		pass(2)
		before := l.reads
		pass(10)
		if l.reads != before {
			t.Errorf("the ledger was read %d times without a page", l.reads-before)
		}
		tail.join(tailFilter{})
		pass(1)
		if l.reads == before {
			t.Error("the ledger is not read for a page that comes later")
		}
	})
}

func TestAPageIsToldOfEachPredictionOnce(t *testing.T) {
	watching(t, func(t *testing.T, l *tailLedger, tail *tail) {
		l.add(2, time.Second, "anna", "m1")
		shown := l.rows[1].ID
		l.add(1, 0, "anna", "m1") // after the page was made, before it asks
		all := tail.join(tailFilter{after: shown})
		want(t, all.read(t), 1, 0, false)
		all.quiet(t)
		l.add(1, 0, "bert", "m2")
		l.add(1, 3*time.Second, "carl", "m1") // delivered late by another replica
		pass(1)
		b := all.read(t)
		want(t, b, 2, 0, false)
		if b.rows[0].CustomerID != "bert" || b.rows[1].CustomerID != "carl" {
			t.Errorf("rows of %s and %s, want the newest first", b.rows[0].CustomerID, b.rows[1].CustomerID)
		}
		pass(20)
		all.quiet(t)
		second := tail.join(tailFilter{after: b.rows[1].ID})
		want(t, second.read(t), 4, 0, false) // all but carl's, which was made first
	})
}

func TestAPageIsToldOfWhatItSearchesFor(t *testing.T) {
	watching(t, func(t *testing.T, l *tailLedger, tail *tail) {
		anna, m2, later := tail.join(tailFilter{customer: "anna"}), tail.join(tailFilter{model: "m2"}), tail.join(tailFilter{since: time.Now().Add(time.Hour)})
		l.add(3, 0, "anna", "m1")
		l.add(2, 0, "bert", "m2")
		pass(1)
		want(t, anna.read(t), 3, 0, false)
		want(t, m2.read(t), 2, 0, false)
		later.quiet(t)
	})
}

func TestAPageGetsAsManyRowsAsItCanShow(t *testing.T) {
	watching(t, func(t *testing.T, l *tailLedger, tail *tail) {
		page := tail.join(tailFilter{customer: "anna"})
		l.add(maxTailRows+70, 0, "anna", "m1")
		l.add(100, 0, "bert", "m1")
		pass(1)
		want(t, page.read(t), maxTailRows, 70, false)
		pass(1)
		l.add(maxTailRead+1, 0, "anna", "m1") // more than a read returns
		pass(1)
		want(t, page.read(t), maxTailRows, maxTailRead-maxTailRows, true)
	})
}

func TestASlowPageIsToldHowMuchItHasLost(t *testing.T) {
	watching(t, func(t *testing.T, l *tailLedger, tail *tail) {
		slow, quick := tail.join(tailFilter{}), tail.join(tailFilter{})
		for range maxTailBehind + 3 {
			l.add(10, 0, "anna", "m1")
			pass(1)
			want(t, quick.read(t), 10, 0, false)
		}
		for range maxTailBehind {
			want(t, slow.read(t), 10, 0, false)
		}
		slow.quiet(t)
		pass(1)
		want(t, slow.read(t), 0, 30, false)
		pass(1)
		slow.quiet(t)
	})
}

func TestAPageIsToldThatTheLedgerDoesNotAnswer(t *testing.T) {
	watching(t, func(t *testing.T, l *tailLedger, tail *tail) {
		page := tail.join(tailFilter{})
		l.fail(errors.New("down"))
		pass(3)
		if b := page.read(t); !b.failing {
			t.Errorf("the page is told %+v", b)
		}
		page.quiet(t)
		if late := tail.join(tailFilter{}).read(t); !late.failing {
			t.Errorf("a page that joins is told %+v", late)
		}
		l.fail(nil)
		l.add(1, 0, "anna", "m1")
		pass(1)
		if b := page.read(t); b.failing || len(b.rows) != 1 {
			t.Errorf("the page is told %+v", b)
		}
	})
}
