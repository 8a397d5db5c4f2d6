package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"gateway/internal/predict"
)

func testLedger(t *testing.T, open opener) {
	ctx := context.Background()
	t.Run("predictions are kept exactly", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		anonymous := newPrediction("p1")
		anonymous.Score = math.Nextafter(0.1, 1)
		known := predictionFor("p2", "c", epoch.Add(time.Microsecond).In(time.FixedZone("elsewhere", 3600)))
		known.Label = 0
		must(t, s.Append(ctx, []predict.Prediction{anonymous, known}))
		for _, p := range []predict.Prediction{anonymous, known} {
			got, _ := readLedger(t, s, p.ID)
			p.CreatedAt = p.CreatedAt.UTC()
			want(t, p.ID, got, ledgerRow{Prediction: p})
		}
	})
	t.Run("a repeated id is ignored, in one call and in several", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		first, other := newPrediction("p"), newPrediction("p")
		other.Score = 0.1
		must(t, s.Append(ctx, []predict.Prediction{first, other}))
		must(t, s.Append(ctx, []predict.Prediction{other, newPrediction("q")}))
		got, _ := readLedger(t, s, "p")
		want(t, "score", got.Prediction.Score, first.Score)
		want(t, "rows", countRows(t, s, "predictions"), 2)
	})
	t.Run("a call is all or nothing", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		bad := newPrediction("bad")
		bad.Label = 7
		err := s.Append(ctx, []predict.Prediction{newPrediction("p"), bad})
		wantKind(t, err, predict.Invalid, "a value cannot be stored")
		want(t, "rows", countRows(t, s, "predictions"), 0)
	})
	t.Run("a score that is not finite is refused", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for _, score := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			bad := newPrediction("bad")
			bad.Score = score
			wantKind(t, s.Append(ctx, []predict.Prediction{bad}), predict.Invalid, "a value cannot be stored")
		}
		largest := newPrediction("largest")
		largest.Score = -math.MaxFloat64
		must(t, s.Append(ctx, []predict.Prediction{largest}))
	})
	t.Run("a call larger than a group is one transaction", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		many := make([]predict.Prediction, maxGroupRows+100)
		for i := range many {
			many[i] = newPrediction(fmt.Sprint(i))
		}
		must(t, s.Append(ctx, many))
		want(t, "rows", countRows(t, s, "predictions"), len(many))
		want(t, "stats", s.LedgerStats(), LedgerStats{Groups: 1, Rows: int64(len(many))})
	})
	t.Run("an empty call is nothing", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		must(t, s.Append(ctx, nil))
		want(t, "stats", s.LedgerStats(), LedgerStats{})
	})
}

// testGroupCommit holds the only connection, so that what is enqueued
// meanwhile must end up in one group: nothing depends on timing.
func testGroupCommit(t *testing.T, open opener) {
	ctx := context.Background()
	enqueue := func(t *testing.T, s *Store, ids ...string) *appendCall {
		var predictions []predict.Prediction
		for _, id := range ids {
			p := newPrediction(id)
			if id == "bad" {
				p.Label = 7
			}
			predictions = append(predictions, p)
		}
		call, err := s.appends.enqueue(ctx, predictions)
		must(t, err)
		return call
	}
	t.Run("calls that wait together share one transaction", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		tx := holdConnection(t, s)
		var calls []*appendCall
		for i := range 50 {
			calls = append(calls, enqueue(t, s, fmt.Sprint(i, "a"), fmt.Sprint(i, "b")))
		}
		must(t, tx.Rollback())
		for _, call := range calls {
			must(t, s.appends.wait(ctx, call))
		}
		want(t, "stats", s.LedgerStats(), LedgerStats{Groups: 1, Rows: 100})
		want(t, "rows", countRows(t, s, "predictions"), 100)
	})
	t.Run("a full group leaves the rest to the next", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		tx := holdConnection(t, s)
		ids := make([]string, maxGroupRows/2)
		var calls []*appendCall
		for call := range 5 {
			for i := range ids {
				ids[i] = fmt.Sprint(call, "-", i)
			}
			calls = append(calls, enqueue(t, s, ids...))
		}
		must(t, tx.Rollback())
		for _, call := range calls {
			must(t, s.appends.wait(ctx, call))
		}
		want(t, "groups", s.LedgerStats().Groups, int64(3))
	})
	t.Run("a call that fails fails alone", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		tx := holdConnection(t, s)
		before, bad, after := enqueue(t, s, "1", "2"), enqueue(t, s, "3", "bad"), enqueue(t, s, "4")
		must(t, tx.Rollback())
		must(t, s.appends.wait(ctx, before))
		must(t, s.appends.wait(ctx, after))
		wantKind(t, failed("append", s.appends.wait(ctx, bad)), predict.Invalid, "a value cannot be stored")
		for id, wanted := range map[string]bool{"1": true, "2": true, "3": false, "bad": false, "4": true} {
			if _, found := readLedger(t, s, id); found != wanted {
				t.Errorf("prediction %s in the ledger: got %v, want %v", id, found, wanted)
			}
		}
	})
	t.Run("whoever leaves while waiting is not recorded", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		tx := holdConnection(t, s)
		leaving, cancel := context.WithCancel(ctx)
		cancel()
		stays := enqueue(t, s, "stays")
		leaves := enqueue(t, s, "leaves")
		if err := s.appends.wait(leaving, leaves); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		must(t, tx.Rollback())
		must(t, s.appends.wait(ctx, stays))
		want(t, "rows", countRows(t, s, "predictions"), 1)
	})
	t.Run("a group that all have left commits nothing", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		tx := holdConnection(t, s)
		leaving, cancel := context.WithCancel(ctx)
		cancel()
		call := enqueue(t, s, "leaves")
		if err := s.appends.wait(leaving, call); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		must(t, tx.Rollback())
		must(t, s.Append(ctx, []predict.Prediction{newPrediction("stays")}))
		want(t, "rows", countRows(t, s, "predictions"), 1)
	})
	t.Run("once its transaction has begun, a call is waited for whatever its context", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		call := enqueue(t, s, "p")
		<-call.done
		leaving, cancel := context.WithCancel(ctx)
		cancel()
		must(t, s.appends.wait(leaving, call))
	})
	t.Run("a full queue makes callers wait no longer than they like", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		tx := holdConnection(t, s)
		calls := []*appendCall{enqueue(t, s, "0")}
		for s.LedgerStats().Queued > 0 { // until the committer holds the first
			runtime.Gosched()
		}
		for i := range maxQueuedCalls {
			calls = append(calls, enqueue(t, s, fmt.Sprint(i+1)))
		}
		want(t, "queued", s.LedgerStats().Queued, maxQueuedCalls)
		leaving, cancel := context.WithCancel(ctx)
		cancel()
		if err := s.Append(leaving, []predict.Prediction{newPrediction("late")}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		must(t, tx.Rollback())
		for _, call := range calls {
			must(t, s.appends.wait(ctx, call))
		}
		want(t, "rows", countRows(t, s, "predictions"), maxQueuedCalls+1)
	})
	t.Run("closing commits what waits", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		tx := holdConnection(t, s)
		calls := []*appendCall{enqueue(t, s, "1"), enqueue(t, s, "2"), enqueue(t, s, "3")}
		closed := make(chan error)
		go func() { closed <- s.Close() }()
		<-s.appends.closing
		must(t, tx.Rollback())
		must(t, <-closed)
		for _, call := range calls {
			must(t, s.appends.wait(ctx, call))
		}
	})
	t.Run("a call that slips into the queue of a closed store is told so", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		must(t, s.Close())
		call := &appendCall{predictions: []predict.Prediction{newPrediction("p")}, done: make(chan struct{})}
		s.appends.queue <- call
		if err := s.appends.wait(ctx, call); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}

func testRecentPredictions(t *testing.T, open opener) {
	ctx := context.Background()
	s := open(t)
	none, err := s.RecentPredictions(ctx, "m1", 10)
	must(t, err)
	want(t, "at first", len(none), 0)
	var all []predict.Prediction
	for i := range 6 {
		p := predictionFor(fmt.Sprintf("p%d", i), "c", at(i))
		p.Model = fmt.Sprintf("m%d", i%2)
		all = append(all, p)
	}
	must(t, s.Append(ctx, all))
	recent, err := s.RecentPredictions(ctx, "m1", 2)
	must(t, err)
	want(t, "the newest two of m1", recent, []predict.Prediction{all[5], all[3]})
}
