package scoring_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/predict"
	"gateway/internal/schema"
	"gateway/internal/scoring"
)

// deployed is a gate that is an Endpoint.
type deployed struct {
	gate
	ready    error
	updating bool
}

func (d *deployed) Ready(context.Context) error { return d.ready }
func (d *deployed) Updating() bool              { return d.updating }

// spans is a Tracer that counts.
type spans struct {
	mu     sync.Mutex
	calls  int
	shared []int // requests of each shared call
	next   predict.Scorer
}

func (s *spans) Scorer(next predict.Scorer) predict.Scorer {
	s.next = next
	return s
}

func (s *spans) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
	s.mu.Lock()
	s.calls++
	s.mu.Unlock()
	return s.next.Score(ctx, rows, explain)
}

func (s *spans) Link(call context.Context, requests []context.Context) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared = append(s.shared, len(requests))
	return call
}

// chained is a Chain before a gate, in virtual time.
type chained struct {
	t *testing.T
	*deployed
	*scoring.Chain
	spans *spans
}

func onChain(t *testing.T, o scoring.Options, f func(t *testing.T, c *chained)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &chained{t: t, deployed: &deployed{}, spans: &spans{}}
		o.Tracer = c.spans
		c.Chain = scoring.Remote(c.deployed, o, prometheus.NewRegistry())
		f(t, c)
		synctest.Wait()
	})
}

// ask asks for rows and returns what becomes of it.
func (c *chained) ask(rows ...float64) <-chan error {
	done := make(chan error, 1)
	go func() {
		out, err := c.Chain.Score(c.t.Context(), vectors(rows...), false)
		if err == nil && !slices.Equal(out.Score, rows) {
			err = errors.New("the scores are another request's")
		}
		done <- err
	}()
	synctest.Wait()
	return done
}

func (c *chained) answered(done <-chan error) {
	c.t.Helper()
	if err := <-done; err != nil {
		c.t.Error(err)
	}
}

func TestAChainSharesCallsAndTracesThem(t *testing.T) {
	onChain(t, scoring.Options{Batch: scoring.BatchOptions{MaxCalls: 1}}, func(t *testing.T, c *chained) {
		first, second, third := c.ask(1), c.ask(2), c.ask(3)
		c.call(t, 0).ok()
		c.answered(first)
		c.call(t, 1).ok()
		c.answered(second)
		c.answered(third)
		if c.count() != 2 || c.spans.calls != 2 || !slices.Equal(c.spans.shared, []int{2}) {
			t.Errorf("%d calls, %d spans, shared calls of %v requests; want 2, 2 and one of 2", c.count(), c.spans.calls, c.spans.shared)
		}
	})
}

func TestTheBreakerOfAChainStandsBetweenItsQueueAndItsEndpoint(t *testing.T) {
	o := scoring.Options{Breaker: scoring.BreakerOptions{Failures: 1, Open: time.Second}}
	onChain(t, o, func(t *testing.T, c *chained) {
		failed := c.ask(1)
		c.call(t, 0).fail(down)
		if err := <-failed; !errors.Is(err, down) {
			t.Errorf("got %v", err)
		}
		wantUnavailable(t, <-c.ask(2))
		if c.count() != 1 || c.spans.calls != 1 || c.Breaker().Closed() {
			t.Errorf("%d calls and %d spans; the breaker is %s", c.count(), c.spans.calls, c.Breaker().Status().State)
		}
		if err := c.Breaker().Check(t.Context()); err == nil {
			t.Error("the breaker is open, and the endpoint is said to be well")
		}
		time.Sleep(time.Second)
		trial := c.ask(3)
		if c.Status().Trial {
			t.Error("one call of four slots is said to keep others from being made")
		}
		c.call(t, 1).ok()
		c.answered(trial)
		if !c.Breaker().Closed() {
			t.Error("the trial call was answered, and the breaker is not closed")
		}
	})
}

func TestAChainWhoseSlotsAreTakenByTrialCallsSaysSo(t *testing.T) {
	o := scoring.Options{Batch: scoring.BatchOptions{MaxCalls: 1}, Breaker: scoring.BreakerOptions{Failures: 1, Open: time.Second}}
	onChain(t, o, func(t *testing.T, c *chained) {
		busy := c.ask(1)
		if s := c.Status(); s.InFlight != 1 || s.Trial {
			t.Errorf("%+v, and the breaker is closed", s)
		}
		c.call(t, 0).fail(down)
		<-busy
		time.Sleep(time.Second)
		trial := c.ask(2)
		if s := c.Status(); s.InFlight != 1 || !s.Trial {
			t.Errorf("%+v, and the one call is a trial", s)
		}
		c.call(t, 1).ok()
		c.answered(trial)
	})
}

func TestWhileTheEndpointIsUpdatedAChainGoesOn(t *testing.T) {
	onChain(t, scoring.Options{Breaker: scoring.BreakerOptions{Failures: 1}}, func(t *testing.T, c *chained) {
		c.updating = true
		failed := c.ask(1)
		c.call(t, 0).fail(down)
		<-failed
		if !c.Breaker().Closed() {
			t.Error("a failure that may be the new model's opened the breaker")
		}
	})
}

func TestAChainHedgesWhereNoRowsWait(t *testing.T) {
	const after = 10 * time.Millisecond
	for _, tt := range []struct {
		name  string
		queue bool
		calls int
	}{{"nothing waits", false, 2}, {"rows wait", true, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			o := scoring.Options{Batch: scoring.BatchOptions{MaxCalls: 1}, Hedge: scoring.HedgeOptions{On: true, After: after}}
			onChain(t, o, func(t *testing.T, c *chained) {
				for n := range 10 { // a call earns a tenth of a hedge
					quick := c.ask(1)
					c.call(t, n).ok()
					c.answered(quick)
				}
				slow, waits := c.ask(1), (<-chan error)(nil)
				if tt.queue {
					waits = c.ask(2)
				}
				time.Sleep(2 * after)
				if n := c.count() - 10; n != tt.calls {
					t.Errorf("%d calls, want %d", n, tt.calls)
				}
				c.call(t, 9+tt.calls).ok()
				c.answered(slow)
				if waits != nil {
					c.call(t, 11).ok()
					c.answered(waits)
				}
			})
		})
	}
}

func TestAChainIsReadyWhenItsEndpointIs(t *testing.T) {
	onChain(t, scoring.Options{}, func(t *testing.T, c *chained) {
		if err := c.Chain.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		c.ready = errors.New("no model serves")
		if err := c.Chain.Ready(t.Context()); !errors.Is(err, c.ready) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAChainStopsWhenItsCallsHaveEnded(t *testing.T) {
	onChain(t, scoring.Options{}, func(t *testing.T, c *chained) {
		last, stopped := c.ask(1), make(chan error, 1)
		go func() { stopped <- c.Stop(t.Context()) }()
		synctest.Wait()
		wantUnavailable(t, <-c.ask(2))
		select {
		case <-stopped:
			t.Error("it stopped before its call had ended")
		default:
		}
		c.call(t, 0).ok()
		c.answered(last)
		c.answered(stopped)
	})
}
