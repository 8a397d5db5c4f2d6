package scoring

import (
	"cmp"
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway/internal/predict"
	"gateway/internal/schema"
)

// Endpoint is a remote model without anything before it: each Score is a call.
type Endpoint interface {
	predict.Scorer
	// Ready returns an error until a model serves.
	Ready(context.Context) error
	// Updating reports whether two models may answer, because a deployment is
	// under way.
	Updating() bool
}

// Tracer makes spans of calls.
type Tracer interface {
	// Scorer returns a scorer that calls next within a span.
	Scorer(next predict.Scorer) predict.Scorer
	// Link is BatchOptions.Link.
	Link(call context.Context, requests []context.Context) context.Context
}

// Options set up a Chain. A zero value means the default.
type Options struct {
	Timeout time.Duration // of a call, for the batch and the breaker; 2s
	Batch   BatchOptions
	Breaker BreakerOptions
	Hedge   HedgeOptions // the zero value: no hedges
	Tracer  Tracer       // nil: no spans
}

// Chain is the way to a remote model, in the order in which a call takes it:
//
//	Batch    puts rows of concurrent requests into one call
//	Hedge    calls again where the first call is slow; only if it is on
//	Breaker  makes no calls while the endpoint does not answer
//	Tracer   makes the span of the call; only if there is one
//	Endpoint makes the call
//
// It is safe for concurrent use.
type Chain struct {
	endpoint Endpoint
	batch    *Batch
	breaker  *Breaker
}

// Remote makes the chain before an endpoint. Its metrics are registered with
// reg; for several, wrap reg with a label that tells them apart.
func Remote(endpoint Endpoint, o Options, reg prometheus.Registerer) *Chain {
	o.Timeout = cmp.Or(max(0, o.Timeout), 2*time.Second)
	o.Batch.Timeout, o.Breaker.Timeout = o.Timeout, o.Timeout
	o.Breaker.Updating = endpoint.Updating
	c := &Chain{endpoint: endpoint}
	var next predict.Scorer = endpoint
	if o.Tracer != nil {
		next, o.Batch.Link = o.Tracer.Scorer(next), o.Tracer.Link
	}
	c.breaker = NewBreaker(next, o.Breaker, reg)
	next = c.breaker
	if o.Hedge.On {
		// While rows wait for a slot, the endpoint has no capacity to spare.
		o.Hedge.Spare = func() bool { return c.breaker.Closed() && c.batch.Status().Queued == 0 }
		next = NewHedge(next, o.Hedge, reg)
	}
	c.batch = NewBatch(next, o.Batch, reg)
	return c
}

// Score implements predict.Scorer. A row that the model cannot score has its
// error in Scores.Errors where others of the same request have scores.
func (c *Chain) Score(ctx context.Context, rows []schema.Vector, explain bool) (predict.Scores, error) {
	return c.batch.Score(ctx, rows, explain)
}

// Ready returns an error until a model serves.
func (c *Chain) Ready(ctx context.Context) error { return c.endpoint.Ready(ctx) }

// Breaker returns the circuit breaker of the chain.
func (c *Chain) Breaker() *Breaker { return c.breaker }

// ChainStatus is the state of a Chain.
type ChainStatus struct {
	BatchStatus
	// Trial: the calls in flight are the trial calls of a breaker that is not
	// closed, and no other call is made before they end.
	Trial bool
}

// Status returns the current state.
func (c *Chain) Status() ChainStatus {
	s := c.batch.Status()
	return ChainStatus{BatchStatus: s, Trial: s.InFlight >= s.Slots && !c.breaker.Closed()}
}

// Stop refuses new requests and returns when those that it has are answered.
// Where ctx ends earlier, Stop cancels the rest and returns an error.
func (c *Chain) Stop(ctx context.Context) error { return c.batch.Stop(ctx) }
