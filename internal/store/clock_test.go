package store

import (
	"strings"
	"sync"
	"testing"
	"time"

	"gateway/internal/predict"
)

func testClock(t *testing.T, open opener) {
	const hour = time.Hour
	start := at(0)
	// A look is a check at an offset from start, and whether the clock is in doubt then.
	type look struct {
		after time.Duration
		doubt bool
	}
	regular := []look{{0, false}, {hour, false}, {10 * hour, false}, {34 * hour, false}}
	tests := []struct {
		name  string
		looks []look
	}{
		{"a clock that goes on is right", regular},
		{"a jump is in doubt until the clock is corrected",
			[]look{{0, false}, {90 * 24 * hour, true}, {90*24*hour + 23*hour, true}, {2 * hour, false}, {3 * hour, false}}},
		{"after a long stop it is believed a day later",
			[]look{{0, false}, {90 * 24 * hour, true}, {90*24*hour + 23*hour, true}, {90*24*hour + 24*hour, false}, {90*24*hour + 30*hour, false}}},
		{"a second jump is no proof of the first",
			[]look{{0, false}, {3 * 24 * hour, true}, {90 * 24 * hour, true}, {91 * 24 * hour, false}}},
		{"nor is a jump in a doubt that a wrong clock began",
			[]look{{0, false}, {90 * 24 * hour, true}, {3 * 24 * hour, true}, {4 * 24 * hour, false}}},
		{"one with a right clock ends the wait of one with a wrong clock",
			[]look{{0, false}, {90 * 24 * hour, true}, {12 * hour, false}, {90*24*hour + 24*hour, true}, {25 * hour, false}, {90*24*hour + 48*hour, true}}},
		{"a clock that goes back is right, since it makes nothing older",
			[]look{{0, false}, {-90 * 24 * hour, false}, {-90*24*hour + hour, false}, {0, true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			for i, l := range tt.looks {
				if err := s.CheckClock(t.Context(), start.Add(l.after)); (err != nil) != l.doubt {
					t.Fatalf("check %d, after %v: got %v, want doubt %v", i, l.after, err, l.doubt)
				}
			}
		})
	}
	t.Run("before the first check the newest prediction tells the time", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		must(t, s.Append(t.Context(), []predict.Prediction{predictionFor("1", "c", at(0)), predictionFor("2", "c", at(60))}))
		err := s.CheckClock(t.Context(), at(0).Add(90*24*hour))
		for _, part := range []string{at(0).Add(90 * 24 * hour).Format(time.RFC3339), at(60).Format(time.RFC3339),
			at(0).Add(91 * 24 * hour).Format(time.RFC3339)} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("got %v, want an error with %s", err, part)
			}
		}
		must(t, s.CheckClock(t.Context(), at(60).Add(hour)))
	})
	t.Run("two at once are harmless", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				for i := range 20 {
					if err := s.CheckClock(t.Context(), at(i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		both.Wait()
		want(t, "rows", countRows(t, s, "clock"), 1)
	})
}
