package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gateway/internal/idempotency"
)

// claimOf is a claim of the key "k" that differs by its token alone.
func claimOf(token string) idempotency.Claim {
	return idempotency.Claim{ID: "k", Fingerprint: "f", Subject: "subject of " + token, Token: token, Lease: time.Minute, TTL: time.Hour}
}

func claimKey(t *testing.T, s *Line, c idempotency.Claim) idempotency.Key {
	t.Helper()
	k, err := s.ClaimKey(t.Context(), c)
	must(t, err)
	return k
}

func answerKey(t *testing.T, s *Line, token string, a idempotency.Answer) bool {
	t.Helper()
	stored, err := s.AnswerKey(t.Context(), "k", token, a)
	must(t, err)
	return stored
}

func testIdempotencyKeys(t *testing.T, open opener) {
	answer := idempotency.Answer{Status: 202, ContentType: "application/json", Location: "/admin/renewals/é", Unexplained: "the artifact is of another kind", Body: []byte("{\"a\":\"\\u0000é\"}\n")}
	mine := idempotency.Key{Claimed: true, Subject: "subject of one", Fingerprint: "f"}
	taken := idempotency.Key{Subject: "subject of one", Fingerprint: "f"}
	answered := idempotency.Key{Subject: "subject of one", Fingerprint: "f", Answer: &answer}

	t.Run("a key is claimed once, and then has its answer", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		want(t, "first", claimKey(t, s, claimOf("one")), mine)
		want(t, "second", claimKey(t, s, claimOf("two")), taken)
		want(t, "an answer of another owner", answerKey(t, s, "two", answer), false)
		want(t, "an answer", answerKey(t, s, "one", answer), true)
		want(t, "another answer", answerKey(t, s, "one", idempotency.Answer{Status: 500}), false)
		must(t, s.ReleaseKey(t.Context(), "k", "one"))
		want(t, "third", claimKey(t, s, claimOf("three")), answered)
		other := claimOf("four")
		other.Fingerprint = "of another request"
		want(t, "another request", claimKey(t, s, other), answered)
		other.ID = "another key"
		want(t, "another key", claimKey(t, s, other).Claimed, true)
	})
	t.Run("a key without a location has none", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		claimKey(t, s, claimOf("one"))
		plain := idempotency.Answer{Status: 200, ContentType: "text/plain", Body: []byte("x")}
		answerKey(t, s, "one", plain)
		want(t, "answer", *claimKey(t, s, claimOf("two")).Answer, plain)
	})
	t.Run("a repetition takes over from a handler that died, and keeps the subject", func(t *testing.T) {
		t.Parallel()
		s, now := open(t), at(0)
		s.now = func() time.Time { return now }
		claimKey(t, s, claimOf("one"))
		now = now.Add(time.Minute - time.Microsecond)
		want(t, "before the lease runs out", claimKey(t, s, claimOf("two")), taken)
		now = now.Add(time.Microsecond)
		other := claimOf("two")
		other.Fingerprint = "of another request"
		want(t, "another request", claimKey(t, s, other), taken)
		want(t, "a repetition", claimKey(t, s, claimOf("three")), mine)
		want(t, "the dead one's answer", answerKey(t, s, "one", idempotency.Answer{Status: 500}), false)
		must(t, s.ReleaseKey(t.Context(), "k", "one"))
		want(t, "after the dead one let go", claimKey(t, s, claimOf("four")), taken)
		want(t, "the answer", answerKey(t, s, "three", answer), true)
		want(t, "a later repetition", claimKey(t, s, claimOf("five")), answered)
	})
	t.Run("the lease of a clock that was wrong does not last", func(t *testing.T) {
		t.Parallel()
		s, now := open(t), at(0).AddDate(4, 0, 0)
		s.now = func() time.Time { return now }
		claimKey(t, s, claimOf("one"))
		now = now.Add(time.Minute - farAhead)
		want(t, "an hour ahead may be another machine's clock", claimKey(t, s, claimOf("two")), taken)
		now = now.Add(-time.Microsecond)
		want(t, "a repetition", claimKey(t, s, claimOf("three")), mine)
	})
	t.Run("a key that was let go is the next one's, under the same subject", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		claimKey(t, s, claimOf("one"))
		must(t, s.ReleaseKey(t.Context(), "k", "one"))
		other := claimOf("two")
		other.Fingerprint = "of another request"
		want(t, "another request", claimKey(t, s, other), taken)
		want(t, "a repetition", claimKey(t, s, claimOf("three")), mine)
	})
	t.Run("a key that has expired is new", func(t *testing.T) {
		t.Parallel()
		s, now := open(t), at(0)
		s.now = func() time.Time { return now }
		claimKey(t, s, claimOf("one"))
		answerKey(t, s, "one", answer)
		now = now.Add(time.Hour - time.Microsecond)
		want(t, "before", claimKey(t, s, claimOf("two")), answered)
		now = now.Add(time.Microsecond)
		other := claimOf("three")
		other.Fingerprint = "of another request"
		want(t, "after", claimKey(t, s, other), idempotency.Key{Claimed: true, Subject: "subject of three", Fingerprint: "of another request"})
		want(t, "while it is handled", claimKey(t, s, claimOf("four")), idempotency.Key{Subject: "subject of three", Fingerprint: "of another request"})
	})
	t.Run("keys that have expired are removed in batches, and no others", func(t *testing.T) {
		t.Parallel()
		s, now := open(t), at(0)
		s.now = func() time.Time { return now }
		for i := range 5 {
			c := claimOf("one")
			c.ID, c.TTL = fmt.Sprint(i), time.Duration(i+1)*time.Hour
			claimKey(t, s, c)
		}
		now = now.Add(3 * time.Hour)
		var removed []int
		for range 3 {
			n, err := s.RemoveExpiredKeys(t.Context(), 2)
			must(t, err)
			removed = append(removed, n)
		}
		want(t, "removed", removed, []int{2, 1, 0})
		want(t, "left", countRows(t, s, "idempotency_keys"), 2)
	})
	t.Run("what the keys of an owner take is known, and its oldest can be removed", func(t *testing.T) {
		t.Parallel()
		s, now := open(t), at(0)
		s.now = func() time.Time { return now }
		usage := func() map[string]int64 {
			t.Helper()
			held, err := s.KeyUsage(t.Context())
			must(t, err)
			return held
		}
		want(t, "of none", len(usage()), 0)
		for i, owner := range []string{"a", "a", "a", "a", "b"} {
			c := claimOf("one")
			c.ID, c.Owner, c.TTL = fmt.Sprint(i), owner, time.Duration(i+1)*time.Hour
			claimKey(t, s, c)
			if i == 2 {
				continue // it is still being handled
			}
			stored, err := s.AnswerKey(t.Context(), c.ID, "one", idempotency.Answer{Status: 200, Body: []byte("é78")})
			want(t, "stored", stored && err == nil, true)
		}
		want(t, "held", usage(), map[string]int64{"a": 4*512 + 3*4, "b": 516})
		for _, removed := range []int{2, 0} { // the fourth is too young, the third has a lease
			n, size, err := s.RemoveOldestKeys(t.Context(), "a", now.Add(3*time.Hour), 3)
			must(t, err)
			want(t, "removed", []int64{int64(n), size}, []int64{int64(removed), int64(removed) * 516})
		}
		n, _, err := s.RemoveOldestKeys(t.Context(), "a", now.Add(30*time.Hour), 1)
		must(t, err)
		want(t, "removed of two, at most one", n, 1)
		want(t, "held", usage(), map[string]int64{"a": 512, "b": 516})
	})
	t.Run("an answer that is not text is refused", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		claimKey(t, s, claimOf("one"))
		for _, body := range []string{"\x00", "\xff"} {
			if _, err := s.AnswerKey(t.Context(), "k", "one", idempotency.Answer{Body: []byte(body)}); err == nil {
				t.Errorf("answer %q: got no error", body)
			}
		}
	})
	t.Run("of many claims at once one has the key", func(t *testing.T) {
		t.Parallel()
		claimAtOnce(t, []*Line{open(t)})
	})
}

func TestPostgresReplicasShareIdempotencyKeys(t *testing.T) {
	t.Parallel()
	stores := replicas(t, 3)
	claimAtOnce(t, stores)
	// Nor do replicas that remove keys at the same moment get in each other's way.
	later := at(0).Add(1000 * time.Hour)
	for _, s := range stores {
		s.now = func() time.Time { return later }
	}
	const keys = 300
	for i := range keys {
		c := claimOf("one")
		c.ID, c.TTL = fmt.Sprint(i), -time.Hour
		claimKey(t, stores[0], c)
	}
	alive := claimOf("one")
	alive.ID = "alive"
	claimKey(t, stores[0], alive)
	var all sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for i := range 30 {
		all.Go(func() {
			n, err := stores[i%len(stores)].RemoveExpiredKeys(context.Background(), 50)
			if err != nil {
				t.Errorf("RemoveExpiredKeys: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			total += n
		})
	}
	all.Wait()
	for n := 1; n > 0; total += n { // what a deadlock may have left
		var err error
		n, err = stores[0].RemoveExpiredKeys(t.Context(), 50)
		must(t, err)
	}
	want(t, "removed", total, keys+1) // and the one from above
	want(t, "left", countRows(t, stores[0], "idempotency_keys"), 1)
}

// claimAtOnce has many claim one key, some of them for another request, while
// the one that has it answers. It ends at the first error: without an answer the
// others would claim for ever.
func claimAtOnce(t *testing.T, stores []*Line) {
	t.Helper()
	const claims = 60
	claimed, answers := make(chan string, claims), make(chan string, claims)
	var all sync.WaitGroup
	var failed atomic.Bool
	for i := range claims {
		all.Go(func() {
			s, c := stores[i%len(stores)], claimOf(fmt.Sprint(i))
			for !failed.Load() {
				k, err := s.ClaimKey(context.Background(), c)
				switch {
				case err != nil:
					failed.Store(true)
					t.Errorf("ClaimKey: %v", err)
					return
				case k.Claimed:
					claimed <- k.Subject
					stored, err := s.AnswerKey(context.Background(), "k", c.Token, idempotency.Answer{Status: 200, Body: []byte(c.Token)})
					if err != nil || !stored {
						failed.Store(true)
						t.Errorf("AnswerKey: %v, %v", stored, err)
					}
					return
				case k.Answer != nil:
					answers <- string(k.Answer.Body)
					return
				}
			}
		})
	}
	all.Wait()
	if failed.Load() {
		t.FailNow()
	}
	want(t, "claimed and answered", []int{len(claimed), len(answers)}, []int{1, claims - 1})
	subject := <-claimed
	for range claims - 1 {
		if got := <-answers; !strings.HasSuffix(subject, " "+got) {
			t.Fatalf("an answer of %s, and the key was claimed by %s", got, subject)
		}
	}
}
