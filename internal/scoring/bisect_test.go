package scoring_test

import (
	"context"
	"errors"
	"math/bits"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/scoring"
)

// picky is a model that fails calls with a row below zero in them. A row's
// score is its first number.
type picky struct {
	mu    sync.Mutex
	calls int
	err   *failure.Error // instead of "a row is bad"
}

func (p *picky) Score(_ context.Context, rows []schema.Vector, _ bool) (predict.Scores, error) {
	p.mu.Lock()
	p.calls++
	p.mu.Unlock()
	time.Sleep(time.Millisecond)
	out := predict.Scores{Model: "m"}
	for _, row := range rows {
		if row[0] < 0 {
			if p.err != nil {
				return predict.Scores{}, p.err
			}
			return predict.Scores{}, failure.Errorf(failure.BadModel, "a row is bad")
		}
		out.Score = append(out.Score, row[0])
		out.Label = append(out.Label, 0)
	}
	return out, nil
}

// together asks with all requests at once; the first goes out alone and the
// others gather. It returns how many sound rows were not scored, and checks
// that nothing else is wrong.
func together(t *testing.T, model *picky, requests [][]schema.Vector) (unscored int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := scoring.NewBatch(model, scoring.BatchOptions{MaxRows: 64, MaxCalls: 1}, prometheus.NewRegistry())
		var all sync.WaitGroup
		var mu sync.Mutex
		for _, rows := range requests {
			synctest.Wait()
			all.Go(func() {
				scores, err := b.Score(t.Context(), rows, false)
				mu.Lock()
				defer mu.Unlock()
				for i, row := range rows {
					rowErr := err
					if err == nil && scores.Errors != nil {
						rowErr = scores.Errors[i]
					}
					var e *failure.Error
					switch {
					case rowErr == nil && row[0] < 0:
						t.Errorf("a bad row has score %v", scores.Score[i])
					case rowErr == nil && scores.Score[i] != row[0]:
						t.Errorf("row %v has score %v", row[0], scores.Score[i])
					case rowErr != nil && (!errors.As(rowErr, &e) || e.Kind != failure.BadModel):
						t.Errorf("row %v has %v", row[0], rowErr)
					case rowErr != nil && row[0] >= 0:
						unscored++
					}
				}
			})
		}
		all.Wait()
		synctest.Wait() // the slot is given back after the answers
		if s := b.Status(); s.InFlight != 0 || s.Queued != 0 {
			t.Errorf("left behind: %+v", s)
		}
	})
	return unscored
}

// requestsOf makes requests of the given sizes, numbered through, of which those
// in bad are below zero.
func requestsOf(sizes []int, bad map[int]bool) (requests [][]schema.Vector) {
	n := 0
	for _, size := range sizes {
		var rows []schema.Vector
		for range size {
			x := float64(n)
			if bad[n] {
				x = -1 - x
			}
			rows = append(rows, schema.Vector{x})
			n++
		}
		requests = append(requests, rows)
	}
	return requests
}

func TestBadRowsAreFoundAndNoNeighbourSuffers(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		var sizes []int
		rows := 0
		for range 1 + random.IntN(20) {
			sizes = append(sizes, 1+random.IntN(4)*random.IntN(30))
			rows += sizes[len(sizes)-1]
		}
		bad := map[int]bool{random.IntN(rows): true, random.IntN(rows): true}
		model := &picky{}
		if n := together(t, model, requestsOf(sizes, bad)); n > 0 {
			t.Fatalf("requests of %v rows, bad %v: %d sound rows suffered", sizes, bad, n)
		}
		// Each bad row halves the call that it was in, or the part of its
		// request; and no call has more than 64 rows.
		if most := len(sizes) + rows/32 + 2 + 2*2*bits.Len(64); model.calls > most {
			t.Errorf("requests of %v rows, bad %v: %d calls, want %d at most", sizes, bad, model.calls, most)
		}
	}
}

// Requests of very different sizes are halved more often than their rows alone
// would be.
func TestBadRowsAreFoundInALargeRequestBesideSmallOnes(t *testing.T) {
	const first = 1 + 1 + 9 // the first request goes out alone
	for _, at := range [][2]int{{16, 41}, {0, 48}, {11, 36}, {23, 24}} {
		bad := map[int]bool{first + at[0]: true, first + at[1]: true}
		if n := together(t, &picky{}, requestsOf([]int{1, 1, 9, 49}, bad)); n > 0 {
			t.Errorf("bad %v: %d sound rows suffered", bad, n)
		}
	}
}

func TestAModelThatIsWhollyBrokenIsNotAskedAboutEveryRow(t *testing.T) {
	model := &picky{}
	bad := map[int]bool{}
	var sizes []int
	for i := range 6400 {
		bad[i] = true
		sizes = append(sizes, 1)
	}
	if n := together(t, model, requestsOf(sizes, bad)); n != 0 {
		t.Errorf("%d", n)
	}
	if model.calls > 101+64 {
		t.Errorf("%d calls for 101 that failed", model.calls)
	}
}

func TestACallWithManyBadRowsIsGivenUp(t *testing.T) {
	model := &picky{}
	bad := map[int]bool{}
	for i := range 65 {
		bad[i] = true
	}
	sizes := make([]int, 65)
	for i := range sizes {
		sizes[i] = 1
	}
	together(t, model, requestsOf(sizes, bad))
	if most := 2 + 4*bits.Len(63); model.calls > most {
		t.Errorf("%d calls, want %d at most", model.calls, most)
	}
}

func TestAFailureThatNoRowIsToBlameForIsNotSplit(t *testing.T) {
	model := &picky{err: &failure.Error{Kind: failure.BadModel, Detail: "unreachable", General: true}}
	if n := together(t, model, requestsOf([]int{1, 1, 1, 5}, map[int]bool{2: true})); n != 6 || model.calls != 2 {
		t.Errorf("%d sound rows suffered in %d calls, want 6 in 2", n, model.calls)
	}
}

func TestAnAnswerWithTooFewScoresIsSplitToo(t *testing.T) {
	onGate(t, scoring.BatchOptions{}, func(t *testing.T, b *gated) {
		all := []*request{b.ask(t.Context(), vectors(1)), b.ask(t.Context(), vectors(2)), b.ask(t.Context(), vectors(3))}
		b.call(t, 0).ok()
		b.call(t, 1).answer <- func(s *predict.Scores) error { s.Score = s.Score[:1]; return nil }
		b.call(t, 2).ok()
		b.call(t, 3).ok()
		for i, a := range all {
			a.wants(t, float64(i+1))
		}
		if b.metric("gateway_batch_splits_total") != 1 || b.metric("gateway_batch_isolated_rows_total") != 0 {
			t.Error("not counted")
		}
	})
}

// Whatever the requests, a bad row has no score, any other row has its own or
// the error of a call that a bad row was in; with two bad rows or fewer, all
// others have theirs.
func FuzzIsolation(f *testing.F) {
	f.Add([]byte{1, 1, 1, 1}, []byte{2})
	f.Add([]byte{1, 17, 64, 65, 200, 1}, []byte{0, 80, 255})
	f.Fuzz(func(t *testing.T, shape, faults []byte) {
		var sizes []int
		rows := 0
		for _, n := range shape[:min(len(shape), 40)] {
			sizes = append(sizes, int(n))
			rows += int(n)
		}
		bad := map[int]bool{}
		for i, at := range faults {
			if rows > 0 {
				bad[(int(at)*(i+1)*7)%rows] = true
			}
		}
		if n := together(t, &picky{}, requestsOf(sizes, bad)); n > 0 && len(bad) <= 2 {
			t.Errorf("%d sound rows suffered", n)
		}
	})
}
