package scoring_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"gateway/internal/failure"
	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/scoring"
)

// model is a Scorer that does what the test says.
type model struct {
	mu    sync.Mutex
	calls int
	do    func(ctx context.Context) error
}

func (m *model) Score(ctx context.Context, rows []schema.Vector, _ bool) (predict.Scores, error) {
	m.mu.Lock()
	m.calls++
	do := m.do
	m.mu.Unlock()
	if err := do(ctx); err != nil {
		return predict.Scores{}, err
	}
	return scores(len(rows)), nil
}

func (m *model) does(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.do = func(context.Context) error { return err }
}

func (m *model) hangs() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.do = func(ctx context.Context) error {
		<-ctx.Done()
		return &failure.Error{Kind: failure.Deadline, Detail: "the endpoint did not answer in time", Err: ctx.Err()}
	}
}

var (
	crashed = &failure.Error{Kind: failure.BadModel, Detail: "the model failed (500)"}
	down    = &failure.Error{Kind: failure.BadModel, General: true, Detail: "the endpoint cannot be reached"}
)

// circuit is a Breaker with what has been seen of it.
type circuit struct {
	t *testing.T
	*scoring.Breaker
	model  *model
	reg    *prometheus.Registry
	states []string
}

func newCircuit(t *testing.T, o scoring.BreakerOptions) *circuit {
	c := &circuit{t: t, model: &model{}, reg: prometheus.NewRegistry()}
	c.model.does(nil)
	o.Changed = func(state string) { c.states = append(c.states, state) }
	c.Breaker = scoring.NewBreaker(c.model, o, c.reg)
	return c
}

func (c *circuit) ask(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := c.Score(ctx, []schema.Vector{{1}}, false)
	return err
}

// askTimes asks so often, one after the other, and returns the last error.
func (c *circuit) askTimes(n int) (err error) {
	for range n {
		err = c.ask(2 * time.Second)
	}
	return err
}

func (c *circuit) wantState(want string) {
	c.t.Helper()
	if got := c.Status().State; got != want {
		c.t.Fatalf("the breaker is %s, want %s", got, want)
	}
	if err := c.Check(context.Background()); (err == nil) != (want == "closed") {
		c.t.Errorf("%s, and Check says %v", want, err)
	}
}

func TestWhatOpensABreakerAndWhatDoesNot(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		calls int
		want  string
	}{
		{"a model that fails", crashed, 20, "open"},
		{"an endpoint that cannot be reached", down, 20, "open"},
		{"an internal fault", errors.New("unknown"), 20, "open"},
		{"one failure less", crashed, 19, "closed"},
		{"rows that the model refuses", &failure.Error{Kind: failure.BadModel, Refused: true}, 100, "closed"},
		{"rows that are too large", failure.Errorf(failure.Invalid, "row 1 is larger than the endpoint takes"), 100, "closed"},
		{"throttling", &failure.Error{Kind: failure.Unavailable, Throttled: true}, 100, "closed"},
		{"no model yet", &failure.Error{Kind: failure.Unavailable, Detail: "no model serves yet"}, 100, "closed"},
		{"callers who leave", context.Canceled, 100, "closed"},
		{"callers with little time", &failure.Error{Kind: failure.Deadline}, 100, "closed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCircuit(t, scoring.BreakerOptions{})
			c.model.does(tt.err)
			if err := c.askTimes(tt.calls); !errors.Is(err, tt.err) {
				t.Errorf("the caller got %v", err)
			}
			c.wantState(tt.want)
		})
	}
}

func TestAnOpenBreakerSaysWhenToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircuit(t, scoring.BreakerOptions{Open: 3 * time.Second})
		c.model.does(down)
		c.askTimes(20)
		c.model.calls = 0
		time.Sleep(time.Second)
		if e := wantUnavailable(t, c.ask(time.Second)); e.RetryAfter != 2*time.Second {
			t.Errorf("Retry-After is %s, and it is open for 2s more", e.RetryAfter)
		}
		if s := c.Status(); s.RetryAfter != 2 || s.Since == nil || time.Since(*s.Since) != time.Second || s.Failures != 20 {
			t.Errorf("%+v", s)
		}
		if c.model.calls > 0 {
			t.Error("the model was asked")
		}
		want := `
# HELP gateway_breaker_refused_total Calls of the model that were not made because the circuit breaker was open.
# TYPE gateway_breaker_refused_total counter
gateway_breaker_refused_total 1
# HELP gateway_breaker_state 1 for the state of the circuit breaker before the model, 0 for the others.
# TYPE gateway_breaker_state gauge
gateway_breaker_state{state="closed"} 0
gateway_breaker_state{state="half-open"} 0
gateway_breaker_state{state="open"} 1
`
		if err := testutil.GatherAndCompare(c.reg, strings.NewReader(want), "gateway_breaker_refused_total", "gateway_breaker_state"); err != nil {
			t.Error(err)
		}
		if faults, err := testutil.GatherAndLint(c.reg); err != nil || len(faults) > 0 {
			t.Errorf("%v, %v", faults, err)
		}
	})
}

func TestACallThatHangsOpensItWhereNobodyIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircuit(t, scoring.BreakerOptions{})
		c.askTimes(1)
		c.model.hangs()
		for range 100 {
			_ = c.ask(1400 * time.Millisecond) // their callers had little time
		}
		c.wantState("closed")
		var hung sync.WaitGroup
		for range 19 {
			hung.Go(func() { c.askTimes(1) })
		}
		time.Sleep(time.Second)
		c.model.does(nil)
		c.askTimes(1) // another one is answered meanwhile
		hung.Wait()
		c.wantState("closed")
		c.model.hangs()
		c.askTimes(1)
		c.wantState("open")
		if n := c.Status().Failures; n != 20 {
			t.Errorf("%d failures", n)
		}
	})
}

func TestOneOfTwoThatFailsShutsNobodyOut(t *testing.T) {
	c := newCircuit(t, scoring.BreakerOptions{})
	for i := range 1000 { // 19 of 20
		c.model.does(crashed)
		if i%20 == 0 {
			c.model.does(nil)
		}
		c.askTimes(1)
	}
	c.wantState("closed")
}

func TestWhileTwoModelsAnswerOnlyHangingCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		updating := true
		c := newCircuit(t, scoring.BreakerOptions{Updating: func() bool { return updating }})
		c.model.does(crashed)
		c.askTimes(200)
		c.wantState("closed")
		c.model.hangs()
		c.askTimes(1)
		c.wantState("open")
		updating = false
		time.Sleep(time.Second)
		c.model.does(crashed)
		c.askTimes(2)
		c.wantState("open")
	})
}

func TestAHalfOpenBreakerFindsOutWithFewCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircuit(t, scoring.BreakerOptions{})
		c.model.does(down)
		c.askTimes(20)
		time.Sleep(500 * time.Millisecond)
		c.model.hangs()
		c.model.calls = 0
		var all sync.WaitGroup
		refused := make(chan error, 50)
		for range 50 {
			all.Go(func() {
				if err := c.ask(2 * time.Second); err != nil {
					refused <- err
				}
			})
		}
		time.Sleep(time.Second)
		synctest.Wait()
		c.wantState("half-open")
		if c.model.calls != 2 || len(refused) != 48 {
			t.Errorf("%d calls were let through, %d refused", c.model.calls, len(refused))
		}
		if e := wantUnavailable(t, <-refused); e.RetryAfter != 500*time.Millisecond {
			t.Errorf("Retry-After is %s", e.RetryAfter)
		}
		all.Wait()
		c.wantState("open")
		time.Sleep(500 * time.Millisecond)
		c.model.does(nil)
		if err := c.askTimes(1); err != nil {
			t.Errorf("got %v", err)
		}
		c.wantState("closed")
		if want := []string{"open", "half-open", "open", "half-open", "closed"}; !slices.Equal(c.states, want) {
			t.Errorf("states were %v, want %v", c.states, want)
		}
	})
}

// TestAProbeThatSaysNothingIsNoDeadEnd: whatever becomes of the calls that are
// let through, the next ones are let through later.
func TestAProbeThatSaysNothingIsNoDeadEnd(t *testing.T) {
	for name, do := range map[string]func(context.Context) error{
		"its caller leaves": func(context.Context) error { return context.Canceled },
		"no call was made":  func(context.Context) error { return failure.Errorf(failure.Unavailable, "no model serves yet") },
		"it panics":         func(context.Context) error { panic("a fault") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCircuit(t, scoring.BreakerOptions{})
				c.model.does(down)
				c.askTimes(20)
				for range 5 {
					time.Sleep(500 * time.Millisecond)
					c.model.do = do
					for range 4 {
						func() {
							defer func() { _ = recover() }()
							_ = c.ask(time.Second)
						}()
					}
				}
				time.Sleep(500 * time.Millisecond)
				c.model.does(nil)
				if err := c.askTimes(1); err != nil {
					t.Errorf("got %v", err)
				}
				c.wantState("closed")
			})
		})
	}
}

// TestCallsFromBeforeSayNothing: a call that began before the breaker opened
// may end when it is half-open, and is no probe.
func TestCallsFromBeforeSayNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCircuit(t, scoring.BreakerOptions{})
		c.model.hangs()
		var early sync.WaitGroup
		for range 10 {
			early.Go(func() { _ = c.ask(1100 * time.Millisecond) })
		}
		time.Sleep(100 * time.Millisecond)
		c.model.does(down)
		c.askTimes(20)
		time.Sleep(600 * time.Millisecond)
		probe := make(chan error)
		c.model.mu.Lock()
		c.model.do = func(context.Context) error { time.Sleep(800 * time.Millisecond); return nil }
		c.model.mu.Unlock()
		go func() { probe <- c.ask(2 * time.Second) }()
		early.Wait() // they hung, while the probe is on its way
		c.wantState("half-open")
		if err := <-probe; err != nil {
			t.Errorf("got %v", err)
		}
		c.wantState("closed")
	})
}

func BenchmarkBreaker(b *testing.B) {
	breaker := scoring.NewBreaker(answers{}, scoring.BreakerOptions{}, prometheus.NewRegistry())
	rows := []schema.Vector{{1}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := breaker.Score(context.Background(), rows, false); err != nil {
			b.Fatal(err)
		}
	}
}

// answers is a model that costs nothing.
type answers struct{}

func (answers) Score(context.Context, []schema.Vector, bool) (predict.Scores, error) {
	return predict.Scores{}, nil
}

// scores are the same for each row.
func scores(rows int) predict.Scores {
	return predict.Scores{Model: "m", Score: slices.Repeat([]float64{.5}, rows), Label: make([]int, rows)}
}

func wantUnavailable(t *testing.T, err error) *failure.Error {
	t.Helper()
	var e *failure.Error
	if !errors.As(err, &e) || e.Kind != failure.Unavailable || e.RetryAfter <= 0 || e.Throttled {
		t.Fatalf("got %v, want an Error of kind Unavailable that says when to come back", err)
	}
	return e
}
