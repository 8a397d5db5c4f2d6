package scoring_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/scoring"
)

// instances is an endpoint of which some calls are slow, or do otherwise.
type instances struct {
	calls atomic.Int64
	call  func(n int64) (time.Duration, error) // the n-th call, from 1
	left  atomic.Int64
}

func (i *instances) Score(ctx context.Context, rows []schema.Vector, _ bool) (predict.Scores, error) {
	n := i.calls.Add(1)
	took, err := i.call(n)
	select {
	case <-time.After(took):
	case <-ctx.Done():
		i.left.Add(1)
		return predict.Scores{}, ctx.Err()
	}
	if err != nil {
		return predict.Scores{}, err
	}
	out := scores(len(rows))
	for k, row := range rows {
		out.Score[k] = row[0]
	}
	return out, nil
}

func always() bool { return true }

func newHedge(i *instances, after time.Duration, spare func() bool) *scoring.Hedge {
	return scoring.NewHedge(i, scoring.HedgeOptions{After: after, Spare: spare}, prometheus.NewRegistry())
}

// timed asks once and tells how long it took.
func timed(t *testing.T, h *scoring.Hedge) (time.Duration, error) {
	t.Helper()
	begun := time.Now()
	out, err := h.Score(t.Context(), []schema.Vector{{.25}, {.75}}, false)
	if err == nil && (len(out.Score) != 2 || out.Score[0] != .25 || out.Score[1] != .75) {
		t.Errorf("got %v", out.Score)
	}
	return time.Since(begun), err
}

func TestASlowCallIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &instances{call: func(n int64) (time.Duration, error) {
			if n == 31 {
				return time.Second, nil
			}
			return 5 * time.Millisecond, nil
		}}
		h := newHedge(i, 20*time.Millisecond, always)
		for range 30 {
			if took, err := timed(t, h); err != nil || took != 5*time.Millisecond {
				t.Fatalf("%s, %v", took, err)
			}
		}
		if took, err := timed(t, h); err != nil || took != 25*time.Millisecond {
			t.Errorf("%s, %v", took, err)
		}
		synctest.Wait()
		if i.calls.Load() != 32 || i.left.Load() != 1 {
			t.Errorf("%d calls, of which %d were given up", i.calls.Load(), i.left.Load())
		}
	})
}

func TestHedgesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &instances{call: func(int64) (time.Duration, error) { return 50 * time.Millisecond, nil }}
		h := newHedge(i, 20*time.Millisecond, always)
		for range 1000 {
			if _, err := timed(t, h); err != nil {
				t.Fatal(err)
			}
		}
		if n := i.calls.Load(); n < 1090 || n > 1100 {
			t.Errorf("1000 calls became %d", n)
		}
		none := &instances{call: i.call}
		h = newHedge(none, 20*time.Millisecond, func() bool { return false })
		for range 100 {
			_, _ = timed(t, h)
		}
		if n := none.calls.Load(); n != 100 {
			t.Errorf("without capacity to spare 100 calls became %d", n)
		}
	})
}

func TestWhenToHedgeIsLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &instances{call: func(n int64) (time.Duration, error) {
			if n%100 == 0 {
				return time.Second, nil
			}
			return time.Millisecond + time.Duration(rand.Int64N(int64(9*time.Millisecond))), nil
		}}
		h := newHedge(i, 0, always)
		slow := 0
		for k := range 1000 {
			took, err := timed(t, h)
			if err != nil {
				t.Fatal(err)
			}
			if k > 150 && took > 20*time.Millisecond {
				slow++
			}
		}
		if slow > 0 {
			t.Errorf("%d calls were slow although others would have answered", slow)
		}
		if n := i.calls.Load(); n > 1110 {
			t.Errorf("1000 calls became %d", n)
		}
	})
}

func TestTheBetterOfTwoAnswersCounts(t *testing.T) {
	broken := errors.New("it failed")
	tests := []struct {
		name          string
		first, second error
		took          time.Duration
	}{
		{"the first fails later, the second answers", broken, nil, 60 * time.Millisecond},
		{"the second fails at once, the first answers", nil, broken, 50 * time.Millisecond},
		{"both fail", broken, broken, 60 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := &instances{call: func(n int64) (time.Duration, error) {
					switch {
					case n <= 20:
						return time.Millisecond, nil
					case n == 21:
						return 50 * time.Millisecond, tt.first
					case tt.second != nil && tt.first == nil:
						return time.Millisecond, tt.second
					}
					return 40 * time.Millisecond, tt.second
				}}
				h := newHedge(i, 20*time.Millisecond, always)
				for range 20 {
					_, _ = timed(t, h)
				}
				took, err := timed(t, h)
				if took != tt.took || (err != nil) != (tt.first != nil && tt.second != nil) {
					t.Errorf("%s, %v", took, err)
				}
			})
		})
	}
}

func TestAPanicInAHedgeIsAnError(t *testing.T) {
	i := &instances{call: func(int64) (time.Duration, error) { panic("a fault") }}
	if _, err := timed(t, newHedge(i, time.Minute, always)); err == nil || !strings.Contains(err.Error(), "a fault") {
		t.Errorf("got %v", err)
	}
}

func TestACallerWhoLeavesEndsBothCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &instances{call: func(n int64) (time.Duration, error) {
			if n <= 20 {
				return time.Millisecond, nil
			}
			return time.Hour, nil
		}}
		h := newHedge(i, 20*time.Millisecond, always)
		for range 20 {
			_, _ = timed(t, h)
		}
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if _, err := h.Score(ctx, []schema.Vector{{1}}, false); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if i.left.Load() != 2 {
			t.Errorf("%d calls ended", i.left.Load())
		}
	})
}

// A call of a model that answers at once, which is hedged after the percentile that
// was learned, and after a time that it never takes.
func BenchmarkHedge(b *testing.B) {
	for name, o := range map[string]scoring.HedgeOptions{"learned": {}, "fixed": {After: time.Hour}} {
		b.Run(name, func(b *testing.B) {
			hedge := scoring.NewHedge(answers{}, o, prometheus.NewRegistry())
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				rows := []schema.Vector{{1}}
				for pb.Next() {
					if _, err := hedge.Score(context.Background(), rows, false); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
