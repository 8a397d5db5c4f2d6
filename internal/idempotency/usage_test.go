package idempotency

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// flood sends n requests of an owner, each with a key and an answer of
// its own, and returns how many of them were kept.
func (b *bench) flood(t *testing.T, owner string, from, count, size int, limits Limits) (kept int) {
	t.Helper()
	for i := range count {
		r := Request{Scope: "/predict", Caller: owner, Owner: owner, Key: fmt.Sprint(from + i)}
		_, outcome, err := b.within(r, limits, func(string) (Answer, bool) { return Answer{Status: 200, Body: make([]byte, size)}, true })
		switch {
		case err != nil && !errors.Is(err, ErrFull):
			t.Fatal(err)
		case err == nil && outcome == Handled:
			kept++
		}
	}
	return kept
}

var optional = Limits{Handle: 2 * time.Second, Store: time.Second, Optional: true}

func TestWhatIsKeptIsBounded(t *testing.T) {
	const size = 1000 - KeyBytes
	b := newBench(Options{MaxBytes: 100_000})
	if kept := b.flood(t, "a", 0, 1000, size, optional); kept != 50 {
		t.Errorf("of one caller %d answers are kept, want half of the room", kept)
	}
	if kept := b.flood(t, "b", 0, 1000, size, optional); kept != 50 {
		t.Errorf("of another %d are kept", kept)
	}
	if kept := b.flood(t, "c", 0, 1000, size, optional); kept != 0 {
		t.Errorf("of a third %d are kept where there is no room", kept)
	}
	if kept := b.flood(t, "operator", 0, 3, size, limits); kept != 3 {
		t.Errorf("of an operator %d are kept", kept)
	}
	held, _ := b.keys.KeyUsage(t.Context())
	for owner, n := range held {
		if limit := int64(50_000); n > limit {
			t.Errorf("%s holds %d bytes, more than %d", owner, n, limit)
		}
	}
	if b.usage.bytes() != 103_000 {
		t.Errorf("%d bytes are charged", b.usage.bytes())
	}
	// What is kept is still answered with.
	if _, outcome, err := b.within(Request{Scope: "/predict", Caller: "a", Owner: "a", Key: "7"}, limits, nil); outcome != Replayed || err != nil {
		t.Errorf("a repetition: %v, %v", outcome, err)
	}
}

func TestAnAnswerBeyondItsBoundIsNotKept(t *testing.T) {
	b := newBench(Options{MaxAnswer: 1000})
	if kept := b.flood(t, "a", 0, 10, 1001, optional); kept != 0 {
		t.Errorf("%d are kept", kept)
	}
	if n := b.usage.bytes(); n != 10*KeyBytes {
		t.Errorf("%d bytes are charged", n)
	}
}

func TestTheOldestOfWhoFillsTheRoomGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 1000 - KeyBytes
		b := newBench(Options{MaxBytes: 100_000, TTL: 24 * time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.Run(ctx) }()
		defer func() { cancel(); <-done }()
		synctest.Wait()
		b.flood(t, "quiet", 0, 10, size, optional)
		b.flood(t, "greedy", 0, 60, size, optional)
		time.Sleep(minAge - time.Minute)
		if n := b.keys.size(); n != 60 {
			t.Errorf("%d keys are left, and all are young", n)
		}
		time.Sleep(3 * time.Minute)
		if kept := b.flood(t, "greedy", 100, 5, size, optional); kept != 5 {
			t.Errorf("after a while %d more are kept", kept)
		}
		held, _ := b.keys.KeyUsage(t.Context())
		if held["quiet"] != 10_000 {
			t.Errorf("of the other caller %d bytes are kept", held["quiet"])
		}
		if n := testutil.ToFloat64(b.metrics.evicted); n == 0 {
			t.Error("it is not counted")
		}
	})
}

func TestADiskWithoutRoomKeepsNothing(t *testing.T) {
	spare := int64(0)
	b := newBench(Options{Spare: func() int64 { return spare }})
	if kept := b.flood(t, "a", 0, 10, 100, optional); kept != 0 {
		t.Errorf("%d are kept", kept)
	}
	if n := b.keys.size(); n != 0 {
		t.Errorf("%d keys are in the store", n)
	}
	if kept := b.flood(t, "operator", 0, 10, 100, limits); kept != 10 {
		t.Errorf("of an operator %d are kept", kept)
	}
	spare = 1 << 30
	if kept := b.flood(t, "a", 0, 10, 100, optional); kept != 10 {
		t.Errorf("with room %d are kept", kept)
	}
}

// What is charged while the database counts is not forgotten by its answer.
func TestACountForgetsNothing(t *testing.T) {
	u := newUsage(10_000)
	u.take("a", 100, false)
	u.counting()
	u.take("a", 200, false)
	u.take("b", 300, false)
	u.set(map[string]int64{"a": 100})
	if u.bytes() != 600 || u.held["a"] != 300 || u.held["b"] != 300 {
		t.Errorf("%d bytes are charged: %v", u.bytes(), u.held)
	}
	u.counting()
	u.set(map[string]int64{"a": 300, "b": 300})
	if u.bytes() != 600 {
		t.Errorf("the next count comes to %d bytes", u.bytes())
	}
}
