package admission_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gateway/internal/admission"
)

func openStreams(t *testing.T, l *admission.Limit, caller string, count int) []*admission.OpenStream {
	t.Helper()
	streams := make([]*admission.OpenStream, count)
	for i := range streams {
		s, err := l.Open("", caller)
		if err != nil {
			t.Fatalf("stream %d of %s: %v", i, caller, err)
		}
		streams[i] = s
	}
	return streams
}

func TestStreamsTakeNoPlaces(t *testing.T) {
	l := newLimit(admission.Options{Floor: 64, Ceiling: 64, Streams: 400})
	for _, caller := range []string{"a", "b"} {
		for _, s := range openStreams(t, l, caller, 200)[:2] {
			if err := s.Begin(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s := l.Status(); s.InUse != 0 || s.Streams != 400 || s.Scoring != 4 {
		t.Fatalf("%+v", s)
	}
	if places := fill(t, l, ""); len(places) != 64 {
		t.Errorf("%d places of 64 are left", len(places))
	}
}

func TestOneCallerHasAtMostHalfOfTheStreams(t *testing.T) {
	l := newLimit(admission.Options{Streams: 10})
	mine := openStreams(t, l, "a", 5)
	if _, err := l.Open("", "a"); !errors.Is(err, admission.ErrShare) {
		t.Errorf("the sixth: %v", err)
	}
	openStreams(t, l, "b", 5)
	_, err := l.Open("", "c")
	wantUnavailable(t, err)
	mine[0].Close()
	openStreams(t, l, "c", 1)
}

func TestAStreamWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit(admission.Options{Floor: 32, Ceiling: 32}) // two turns
		streams := openStreams(t, l, "a", 5)
		for _, s := range streams[:2] {
			if err := s.Begin(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantUnavailable(t, streams[4].Begin(ctx))

		order := make(chan int, 2)
		for i, s := range streams[2:4] {
			go func() {
				if err := s.Begin(t.Context()); err != nil {
					t.Error(err)
				}
				order <- i
			}()
			synctest.Wait()
		}
		streams[0].Done()
		if first := <-order; first != 0 {
			t.Error("who came last was first")
		}
		streams[1].Close() // which gives the turn back too
		<-order
		if s := l.Status(); s.Scoring != 2 || s.Streams != 4 {
			t.Errorf("%+v", s)
		}
	})
}

func TestABudget(t *testing.T) {
	b := admission.NewBudget(100)
	take := func(caller string, n int64, want error) {
		t.Helper()
		if err := b.Take(caller, n); !errors.Is(err, want) {
			t.Errorf("%s takes %d: %v, want %v", caller, n, err, want)
		}
	}
	take("a", 51, admission.ErrShare)
	take("a", 50, nil)
	take("a", 1, admission.ErrShare)
	take("b", 40, nil)
	take("c", 11, admission.ErrSpent)
	take("c", 10, nil)
	freed := b.Freed()
	b.Give("a", 50)
	select {
	case <-freed:
	default:
		t.Error("the channel is still open")
	}
	take("c", 40, nil)
	if b.Held() != 90 {
		t.Errorf("%d are held", b.Held())
	}
	take("d", 1, nil)
	take("a", 0, nil)
}
