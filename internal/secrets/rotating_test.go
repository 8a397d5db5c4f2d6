package secrets_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gateway/internal/secrets"

	"github.com/prometheus/client_golang/prometheus"
)

var errDown = errors.New("the source is down")

func TestAValueIsLookedAtAgainBeforeItsTTLEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.rotate("v2")
		time.Sleep(ttl * 3 / 5)
		b.want("before the time is up", b.secret.Current().Data, "v1")
		time.Sleep(ttl * 2 / 5)
		synctest.Wait()
		b.want("afterwards", b.secret.Current().Data, "v2")
		b.metric(`gateway_secret_version_info{secret="test",stage="current",version="id-of-v2"} 1`)
		b.metric(`gateway_secret_version_info{secret="test",stage="previous",version="id-of-v1"} 1`)
	})
}

func TestThePreviousVersionIsValidUntilTheGraceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.want("at first", b.valid(), "v1")
		b.rotate("v2")
		time.Sleep(ttl)
		b.want("after a rotation", b.valid(), "v2 v1")
		time.Sleep(ttl)
		b.rotate("v3")
		time.Sleep(ttl)
		b.want("the version before the previous is refused", b.valid(), "v3 v2")
		time.Sleep(grace)
		b.want("after the grace", b.valid(), "v3")
	})
}

func TestTwoRotationsBetweenTwoLooksLeaveNothingOlderThanThePrevious(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.rotate("v2")
		b.rotate("v3")
		time.Sleep(ttl)
		b.want("after both", b.valid(), "v3 v2")
	})
}

func TestAPreviousVersionThatIsWithdrawnIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.rotate("v2")
		time.Sleep(ttl)
		b.set(secrets.Previous, "")
		time.Sleep(ttl)
		b.want("without the label", b.valid(), "v2")
	})
}

func TestTheLastGoodValueSurvivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		time.Sleep(2 * ttl)
		b.metric(`gateway_secret_version_info{secret="test",stage="current",version="id-of-v1"} 1`)
		if err := b.store.Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
		b.behave(0, errDown)
		time.Sleep(time.Hour)
		b.want("the value", b.secret.Current().Data, "v1")
		state := b.store.States()[0]
		if state.FailingSince == nil || state.Error != errDown.Error() || state.Age < 3600 || state.Versions[secrets.Current] != "id-of-v1" {
			t.Errorf("the state is %+v, want one that fails since an hour", state)
		}
		if err := b.store.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "secret test (the-id) cannot be read since") {
			t.Errorf("Check gave %v, want an error that names the secret", err)
		}
		if n := strings.Count(b.logs.String(), "cannot read a secret"); n != 1 {
			t.Errorf("a lasting failure was logged %d times, want once", n)
		}
		b.rotate("v2")
		b.behave(0, nil)
		time.Sleep(30 * time.Second) // looks come quicker while they fail
		b.want("after the outage", b.valid(), "v2 v1")
		if err := b.store.Check(t.Context()); err != nil || !strings.Contains(b.logs.String(), "can be read again") {
			t.Errorf("after the outage Check gives %v, and the log: %s", err, b.logs)
		}
	})
}

func TestNonsenseReplacesNothingAndIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.rotate("nonsense-xyzzy")
		time.Sleep(2 * ttl)
		b.want("the value", b.valid(), "v1")
		state := fmt.Sprint(b.store.States(), b.store.Check(t.Context()), b.logs)
		if !strings.Contains(state, "must not be nonsense") || strings.Contains(strings.ReplaceAll(state, "id-of-nonsense-xyzzy", ""), "xyzzy") {
			t.Errorf("the state is %s, want the fault without the value", state)
		}
		b.rotate("v2")
		time.Sleep(time.Minute)
		b.want("the next value", b.secret.Current().Data, "v2")
	})
}

func TestFiftyFailuresMakeOneRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.rotate("v2")
		b.behave(100*time.Millisecond, nil)
		before := b.count()
		var waiting sync.WaitGroup
		for i := range 50 {
			waiting.Go(func() {
				time.Sleep(time.Duration(i) * 5 * time.Millisecond) // some come when the read is over
				b.want("after v1", b.after(t.Context(), "v1"), "v2")
			})
		}
		waiting.Wait()
		if n := b.count() - before; n != 1 {
			t.Errorf("the source was read %d times, want once", n)
		}
	})
}

func TestBeforeARotationEndsThePendingVersionIsOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.want("to begin with", b.after(t.Context()), "v1")
		b.set(secrets.Pending, "v2")
		b.set(secrets.Previous, "v0")
		b.want("after the current one", b.after(t.Context(), "v1"), "v2")
		b.want("after both", b.after(t.Context(), "v1", "v2"), "v0")
		b.want("after all", b.after(t.Context(), "v1", "v2", "v0"), "-")
		b.metric(`gateway_secret_version_info{secret="test",stage="pending",version="id-of-v2"} 1`)

		b.secret.Accepted("id-of-v2")
		b.want("to begin with, once the pending one worked", b.after(t.Context()), "v2")
		b.want("after that", b.after(t.Context(), "v2"), "v1")
		b.rotate("v2")
		time.Sleep(ttl)
		b.want("when the rotation has ended", b.after(t.Context()), "v2")
	})
}

func TestAPreviousVersionThatWorkedIsNotPreferred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.set(secrets.Previous, "v0")
		b.want("after the current one", b.after(t.Context(), "v1"), "v0")
		b.secret.Accepted("id-of-v0")
		b.want("to begin with", b.after(t.Context()), "v1")
	})
}

func TestReadsThatAreAskedForAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		before, start := b.count(), time.Now()
		for time.Since(start) < 30*time.Second {
			b.want("after v1", b.after(t.Context(), "v1"), "-")
			time.Sleep(10 * time.Millisecond)
		}
		// 0.25 s, doubling, up to 5 s.
		if n := b.count() - before; n < 5 || n > 12 {
			t.Errorf("the source was read %d times in 30 s, want some ten", n)
		}
		b.rotate("v2")
		time.Sleep(5 * time.Second)
		b.want("when there is news", b.after(t.Context(), "v1"), "v2")
		b.rotate("v3")
		time.Sleep(250 * time.Millisecond)
		b.want("when there is news again, soon after", b.after(t.Context(), "v2"), "v3")
	})
}

func TestNobodyWaitsBeyondHisDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.rotate("v2")
		b.behave(8*time.Second, nil)
		start := time.Now()
		var waiting sync.WaitGroup
		for _, patience := range []time.Duration{time.Millisecond, time.Second, 20 * time.Second} {
			waiting.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				want, took := "-", patience
				if patience > 8*time.Second {
					want, took = "v2", 8*time.Second // the read goes on for those who wait
				}
				b.want("after v1", b.after(ctx, "v1"), want)
				if got := time.Since(start); got != took {
					t.Errorf("a caller with %s waited for %s", patience, got)
				}
			})
		}
		waiting.Wait()
		if n := b.count(); n != 2 {
			t.Errorf("the source was read %d times, want twice with the start", n)
		}
	})
}

func TestALookThatTakesTooLongIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.behave(time.Hour, nil)
		start := time.Now()
		b.want("after v1", b.after(t.Context(), "v1"), "-")
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("it was given up after %s, want 10 s", took)
		}
		if err := b.store.Check(t.Context()); !strings.Contains(fmt.Sprint(err), "deadline") {
			t.Errorf("Check gave %v, want that it took too long", err)
		}
	})
}

func TestRefreshFindsWhatIsNewAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		first := b.secret.Current().Version
		if b.secret.Refresh(t.Context(), first) {
			t.Error("there is something newer than the only version")
		}
		b.rotate("v2")
		if b.secret.Refresh(t.Context(), first) {
			t.Error("two reads came at once")
		}
		time.Sleep(time.Second)
		if !b.secret.Refresh(t.Context(), first) || b.valid() != "v2 v1" {
			t.Errorf("after a rotation %q is valid, want both", b.valid())
		}
		before := b.count()
		if !b.secret.Refresh(t.Context(), first) || b.count() != before {
			t.Error("what is known already was read again")
		}
	})
}

func TestASourceThatIsDownAtStartIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.behave(0, errDown)
		go func() {
			time.Sleep(10 * time.Minute)
			b.behave(0, nil)
		}()
		start := time.Now()
		second := b.declared()
		second.Name, second.ID = "second", "file:the-id"
		r, err := secrets.Open(t.Context(), b.store, second, text)
		if err != nil || r.Current().Data != "v1" {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(start); took < 10*time.Minute || took > 11*time.Minute {
			t.Errorf("it waited for %s, want until the source was back", took)
		}
		if logs := b.logs.String(); strings.Count(logs, "cannot read a secret; the start waits") != 1 || !strings.Contains(logs, "secret=second id=file:the-id") {
			t.Errorf("the log does not say once what it waited for: %s", logs)
		}
	})
}

func TestWaitingAtStartEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.behave(0, errDown)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := secrets.Open(ctx, b.store, b.declared(), text)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errDown) || !strings.Contains(err.Error(), "the test secret") {
			t.Errorf("got %v, want what was waited for and why", err)
		}
	})
}

func TestWhatWaitingCannotMendEndsTheStart(t *testing.T) {
	for name, err := range map[string]error{"not found": secrets.ErrNotFound, "refused": secrets.ErrRefused, "nonsense": nil} {
		m := &memory{now: map[secrets.Stage]string{secrets.Current: "nonsense"}, err: err}
		store := secrets.NewStore(secrets.Options{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		_, got := secrets.Open(t.Context(), store, secrets.Declared{Name: "test", ID: "the-id", Source: m}, text)
		if got == nil || err != nil && !errors.Is(got, err) || !strings.HasPrefix(got.Error(), "the test secret: ") || m.count() != 1 {
			t.Errorf("%s: got %v after %d reads, want an error that names the secret at once", name, got, m.count())
		}
		if len(store.States()) != 0 {
			t.Errorf("%s: the store has %v", name, store.States())
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}
