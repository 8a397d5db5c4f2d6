package idempotency

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// memory keeps keys as the port has it. Package store is held to the same by
// its own tests.
type memory struct {
	mu   sync.Mutex
	rows map[string]*row
	err  error // of every call
	hang bool  // calls wait for their context
}

type row struct {
	claim          Claim
	lease, expires time.Time
	answer         *Answer
}

func (m *memory) do(ctx context.Context, call func()) error {
	m.mu.Lock()
	hang, err := m.hang, m.err
	m.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	call()
	return nil
}

func (m *memory) ClaimKey(ctx context.Context, c Claim) (k Key, err error) {
	err = m.do(ctx, func() {
		now := time.Now()
		r := m.rows[c.ID]
		switch {
		case r == nil || !r.expires.After(now):
			r = &row{claim: c}
		case r.answer == nil && !r.lease.After(now) && r.claim.Fingerprint == c.Fingerprint:
			c.Subject = r.claim.Subject
			r = &row{claim: c}
		default:
			k = Key{Subject: r.claim.Subject, Fingerprint: r.claim.Fingerprint, Answer: r.answer}
			return
		}
		r.lease, r.expires = now.Add(c.Lease), now.Add(c.TTL)
		m.rows[c.ID] = r
		k = Key{Claimed: true, Subject: r.claim.Subject, Fingerprint: c.Fingerprint}
	})
	return k, err
}

func (m *memory) AnswerKey(ctx context.Context, id, token string, a Answer) (stored bool, err error) {
	err = m.do(ctx, func() {
		if r := m.rows[id]; r != nil && r.claim.Token == token && r.answer == nil {
			r.answer, stored = &a, true
		}
	})
	return stored, err
}

func (m *memory) ReleaseKey(ctx context.Context, id, token string) error {
	return m.do(ctx, func() {
		if r := m.rows[id]; r != nil && r.claim.Token == token {
			r.lease = time.Time{}
		}
	})
}

func (m *memory) RemoveExpiredKeys(ctx context.Context, limit int) (n int, err error) {
	err = m.do(ctx, func() {
		for id, r := range m.rows {
			if n < limit && !r.expires.After(time.Now()) {
				delete(m.rows, id)
				n++
			}
		}
	})
	return n, err
}

func (r *row) bytes() int64 {
	if r.answer == nil {
		return KeyBytes
	}
	return KeyBytes + r.answer.Bytes()
}

func (m *memory) KeyUsage(ctx context.Context) (held map[string]int64, err error) {
	err = m.do(ctx, func() {
		held = make(map[string]int64)
		for _, r := range m.rows {
			held[r.claim.Owner] += r.bytes()
		}
	})
	return held, err
}

func (m *memory) RemoveOldestKeys(ctx context.Context, owner string, before time.Time, limit int) (n int, size int64, err error) {
	err = m.do(ctx, func() {
		var old []string
		for id, r := range m.rows {
			if r.claim.Owner == owner && !r.expires.After(before) && (r.answer != nil || !r.lease.After(time.Now())) {
				old = append(old, id)
			}
		}
		slices.SortFunc(old, func(a, b string) int { return m.rows[a].expires.Compare(m.rows[b].expires) })
		for _, id := range old[:min(limit, len(old))] {
			n++
			size += m.rows[id].bytes()
			delete(m.rows, id)
		}
	})
	return n, size, err
}

func (m *memory) set(err error, hang bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.hang = err, hang
}

func (m *memory) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.rows)
}

// bench is a guard under test.
type bench struct {
	*Guard
	keys *memory
	reg  *prometheus.Registry
	logs *bytes.Buffer
}

func newBench(o Options) *bench {
	b := &bench{keys: &memory{rows: map[string]*row{}}, reg: prometheus.NewRegistry(), logs: &bytes.Buffer{}}
	b.Guard = New(b.keys, o, slog.New(slog.NewTextHandler(b.logs, nil)), b.reg)
	return b
}

var (
	limits  = Limits{Handle: 2 * time.Second, Store: time.Second}
	request = Request{Scope: "/predict", Key: "k", Body: []byte("body")}
)

// within calls Do with as much time as the limits give it.
func (b *bench) within(r Request, l Limits, handle func(subject string) (Answer, bool)) (Answer, Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), l.Handle)
	defer cancel()
	return b.Do(ctx, r, l, handle)
}

// says answers with a text, and notes the subject.
func says(text string, keep bool, subjects *[]string) func(string) (Answer, bool) {
	return func(subject string) (Answer, bool) {
		*subjects = append(*subjects, subject)
		return Answer{Status: 200, Body: []byte(text)}, keep
	}
}

func TestARepetitionGetsTheFirstAnswer(t *testing.T) {
	b := newBench(Options{})
	var subjects []string
	first, outcome, err := b.within(request, limits, says("first", true, &subjects))
	if outcome != Handled || err != nil {
		t.Fatalf("got %v, %v", outcome, err)
	}
	again, outcome, err := b.within(request, limits, says("second", true, &subjects))
	if outcome != Replayed || err != nil || !cmp.Equal(first, again) || len(subjects) != 1 {
		t.Errorf("got %+v, %v, %v after %d calls", again, outcome, err, len(subjects))
	}
	other := request
	other.Body = []byte("other")
	if _, _, err := b.within(other, limits, says("other", true, &subjects)); !errors.Is(err, ErrReused) {
		t.Errorf("another body: got %v", err)
	}
	for _, elsewhere := range []Request{{"/outcomes", "", "k", other.Body, ""}, {"/predict", "me", "k", other.Body, ""}, {"/predict", "", "l", other.Body, ""}} {
		if _, outcome, err := b.within(elsewhere, limits, says("other", true, &subjects)); outcome != Handled || err != nil {
			t.Errorf("%v: got %v, %v", elsewhere, outcome, err)
		}
	}
	got := map[string]float64{}
	for _, scope := range []string{"/predict", "/outcomes"} {
		for _, outcome := range []string{"handled", "replayed", "reused"} {
			got[scope+" "+outcome] = testutil.ToFloat64(b.metrics.requests.WithLabelValues(scope, outcome))
		}
	}
	want := map[string]float64{"/predict handled": 3, "/predict replayed": 1, "/predict reused": 1,
		"/outcomes handled": 1, "/outcomes replayed": 0, "/outcomes reused": 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if problems, err := testutil.GatherAndLint(b.reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

func TestAnAnswerThatIsNotKeptIsMadeAgainUnderTheSameSubject(t *testing.T) {
	b := newBench(Options{MaxAnswer: 5})
	var subjects []string
	for i, tt := range []struct {
		text string
		keep bool
		want Result
	}{{"fails", false, Handled}, {"too large", true, Unstored}, {"fits", true, Handled}, {"late", true, Replayed}} {
		got, outcome, err := b.within(request, limits, says(tt.text, tt.keep, &subjects))
		if outcome != tt.want || err != nil {
			t.Errorf("call %d: got %v, %v, want %v", i, outcome, err, tt.want)
		}
		if outcome == Replayed && string(got.Body) != "fits" {
			t.Errorf("replayed: %s", got.Body)
		}
	}
	if len(subjects) != 3 || subjects[0] == "" || subjects[1] != subjects[0] || subjects[2] != subjects[0] {
		t.Errorf("subjects %v, want three that are one", subjects)
	}
}

func TestWhoComesMeanwhileWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{})
		var all sync.WaitGroup
		handled := 0
		for i := range 50 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				answer, _, err := b.within(request, limits, func(string) (Answer, bool) {
					handled++
					time.Sleep(time.Second)
					return Answer{Status: 200, Body: []byte("it")}, true
				})
				if err != nil || string(answer.Body) != "it" {
					t.Errorf("got %s, %v", answer.Body, err)
				}
			})
		}
		all.Wait()
		if handled != 1 {
			t.Errorf("handled %d times", handled)
		}
	})
}

func TestWaitingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{})
		release := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.Do(context.Background(), request, limits, func(string) (Answer, bool) { <-release; return Answer{}, true })
		}()
		synctest.Wait()
		start := time.Now()
		if _, _, err := b.within(request, limits, nil); !errors.Is(err, ErrInProgress) || time.Since(start) != limits.Handle {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, _, err := b.Do(ctx, request, limits, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who has left: %v", err)
		}
		other := request
		other.Body = nil
		if _, _, err := b.within(other, limits, nil); !errors.Is(err, ErrReused) {
			t.Errorf("another request need not wait: %v", err)
		}
		close(release)
		<-done
	})
}

func TestAHandlerThatDiedIsSucceededWhenItsLeaseRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{})
		var subjects []string
		// The process dies in the middle: nothing is stored, and nothing let go.
		dead, err := b.keys.ClaimKey(t.Context(), Claim{ID: request.id(), Fingerprint: request.fingerprint(), Subject: "first",
			Token: "dead", Lease: limits.Handle + leaseMargin, TTL: time.Hour})
		if err != nil || !dead.Claimed {
			t.Fatal(dead, err)
		}
		start := time.Now()
		for {
			_, outcome, err := b.within(request, limits, says("it", true, &subjects))
			if errors.Is(err, ErrInProgress) {
				continue
			}
			if outcome != Handled || err != nil {
				t.Errorf("got %v, %v", outcome, err)
			}
			break
		}
		if took := time.Since(start); took < limits.Handle+leaseMargin || took > limits.Handle+leaseMargin+maxPause {
			t.Errorf("taken over after %v", took)
		}
		if !cmp.Equal(subjects, []string{"first"}) {
			t.Errorf("subjects %v", subjects)
		}
		if stored, err := b.keys.AnswerKey(t.Context(), request.id(), "dead", Answer{}); stored || err != nil {
			t.Errorf("the dead one stored its answer after all: %v", err)
		}
	})
}

func TestAPanicLetsGo(t *testing.T) {
	b := newBench(Options{})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		b.within(request, limits, func(string) (Answer, bool) { panic("a fault") })
	}()
	var subjects []string
	if _, outcome, err := b.within(request, limits, says("it", true, &subjects)); outcome != Handled || err != nil {
		t.Errorf("got %v, %v", outcome, err)
	}
}

func TestACallerWhoLeavesDoesNotTakeTheAnswerAlong(t *testing.T) {
	b := newBench(Options{})
	ctx, cancel := context.WithCancel(context.Background())
	var subjects []string
	b.Do(ctx, request, limits, func(string) (Answer, bool) {
		cancel()
		return Answer{Status: 200, Body: []byte("it")}, true
	})
	answer, outcome, err := b.within(request, limits, says("another", true, &subjects))
	if outcome != Replayed || err != nil || string(answer.Body) != "it" {
		t.Errorf("got %s, %v, %v", answer.Body, outcome, err)
	}
}

func TestAKeyExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{TTL: time.Hour})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); b.Run(ctx) }()
		var subjects []string
		b.within(request, limits, says("first", true, &subjects))
		for i := range 3 * sweepBatch {
			r := request
			r.Caller = string(rune(i + 'a'))
			b.within(r, limits, says("x", true, new([]string)))
		}
		time.Sleep(time.Hour - time.Second)
		if b.keys.size() != 3*sweepBatch+1 {
			t.Errorf("%d keys are left before their time", b.keys.size())
		}
		time.Sleep(time.Second)
		if _, outcome, _ := b.within(request, limits, says("second", true, &subjects)); outcome != Handled || subjects[0] == subjects[1] {
			t.Errorf("after its time the key is %v, with subjects %v", outcome, subjects)
		}
		time.Sleep(2 * sweepEvery)
		if b.keys.size() != 1 {
			t.Errorf("%d keys are left", b.keys.size())
		}
		if n := testutil.ToFloat64(b.metrics.expired); n != 3*sweepBatch {
			t.Errorf("%v are counted", n)
		}
		cancel()
		<-done
	})
}

func TestAStoreThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{})
		var subjects []string
		fault := errors.New("no route to the database")
		b.keys.set(fault, false)
		if _, _, err := b.within(request, limits, nil); !errors.Is(err, ErrUnavailable) || !errors.Is(err, fault) {
			t.Errorf("failing: %v", err)
		}
		b.keys.set(nil, true)
		optional := limits
		optional.Optional = true
		for range skipAfter - 1 {
			start := time.Now()
			if _, _, err := b.within(request, optional, nil); !errors.Is(err, ErrUnavailable) || time.Since(start) != limits.Store {
				t.Errorf("hanging: %v after %v", err, time.Since(start))
			}
		}

		// Who can do without it does not wait again; who cannot does.
		start := time.Now()
		if _, _, err := b.within(request, limits, nil); !errors.Is(err, ErrUnavailable) || time.Since(start) != limits.Store {
			t.Errorf("again: %v after %v", err, time.Since(start))
		}
		start = time.Now()
		if _, _, err := b.within(request, optional, nil); !errors.Is(err, ErrUnavailable) || time.Since(start) != 0 {
			t.Errorf("again: %v after %v", err, time.Since(start))
		}
		b.keys.set(nil, false)
		time.Sleep(skipTime)
		if _, outcome, err := b.within(request, optional, says("first", true, &subjects)); outcome != Handled || err != nil {
			t.Errorf("when it is back: %v, %v", outcome, err)
		}

		// It fails between the claim and the answer.
		other := request
		other.Key = "other"
		_, outcome, err := b.within(other, limits, func(subject string) (Answer, bool) {
			b.keys.set(fault, false)
			subjects = append(subjects, subject)
			return Answer{Status: 200}, true
		})
		if outcome != Unstored || err != nil {
			t.Errorf("an answer that cannot be kept: %v, %v", outcome, err)
		}
		b.keys.set(nil, false)
		time.Sleep(limits.Handle + leaseMargin)
		if _, outcome, err := b.within(other, limits, says("again", true, &subjects)); outcome != Handled || err != nil || subjects[2] != subjects[1] {
			t.Errorf("repeated: %v, %v, subjects %v", outcome, err, subjects)
		}
		if n := strings.Count(b.logs.String(), "does not answer"); n != 2 {
			t.Errorf("it is logged %d times that it began to fail, want 2: %s", n, b.logs)
		}
		if n := strings.Count(b.logs.String(), "answers again"); n != 2 {
			t.Errorf("it is logged %d times that it is back, want 2: %s", n, b.logs)
		}
	})
}
