package aws

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	runtimetypes "github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"gateway/internal/budget"
)

// Bounds of the retries of predictions.
const (
	invokeAttempts  = 3
	firstInvokeWait = 25 * time.Millisecond
)

// predictionRetryer is the one retry layer of predictions: the SDK's standard
// one with shorter waits, within the caller's deadline and a budget.
type predictionRetryer struct{ *retry.Standard }

func invokeRetryer(budget *retryBudget) sdk.Retryer {
	return predictionRetryer{retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = invokeAttempts
		o.RateLimiter = budget
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, err error) (time.Duration, error) {
			most := firstInvokeWait << min(attempt, 4)
			return max(most/2+rand.N(most/2+1), retryAfter(err)), nil
		})
		// After the SDK's own rules, which never repeat what was cancelled.
		o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(retryInvocation))
	})}
}

// errTooLate is why a call is not repeated whose caller would be gone before.
var errTooLate = errors.New("the deadline is nearer than another attempt")

// GetRetryToken implements aws.Retryer. It refuses an attempt that the deadline
// would end before it begins, so that the caller learns what happened instead.
func (r predictionRetryer) GetRetryToken(ctx context.Context, err error) (func(error) error, error) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < max(firstInvokeWait, retryAfter(err)) {
		return nil, errTooLate
	}
	return r.Standard.GetRetryToken(ctx, err)
}

// retryInvocation adds to the SDK's rules what is worth another try because a
// model has no memory: asking it twice does no harm.
func retryInvocation(err error) sdk.Ternary {
	var model *runtimetypes.ModelError
	var api smithy.APIError
	switch {
	case errors.As(err, &model):
		// The container failed. That it did not answer in time (0) means that it
		// is overloaded or the rows are too many: more calls make it worse.
		return sdk.BoolTernary(originalStatus(model) >= http.StatusInternalServerError)
	case errors.As(err, &api):
		switch api.ErrorCode() {
		case "ModelNotReadyException", "InternalDependencyException":
			return sdk.TrueTernary
		}
		if isThrottle(err) {
			return sdk.TrueTernary
		}
	case errors.Is(err, io.ErrUnexpectedEOF): // the answer was cut off
		return sdk.TrueTernary
	}
	return sdk.UnknownTernary
}

// maxRetryAfter bounds what a service may ask for.
const maxRetryAfter = time.Minute

// retryAfter is how long the service asks to wait; zero where it does not.
func retryAfter(err error) time.Duration {
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil {
		return 0
	}
	text := response.Response.Header.Get("Retry-After")
	if text == "" {
		return 0
	}
	var wait time.Duration
	if seconds, err := strconv.Atoi(text); err == nil {
		wait = time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = time.Until(at)
	}
	return min(max(0, wait), maxRetryAfter)
}

// The budget of retries: they add at most a tenth to the calls. The reserve is for a
// gateway with few calls; it is full at the start.
const (
	retryPrice   = 10 // calls that allow a retry
	retryReserve = 10 // retries
)

// retryBudget bounds the retries of all predictions. Unlike the SDK's own budget, it
// returns nothing for a retry that succeeds: an endpoint that throttles every other
// call would get half as many calls again for as long as it does.
type retryBudget struct {
	*budget.Budget
	counts   struct{ made, overBudget, held atomic.Int64 }
	shedding atomic.Pointer[func() bool]
}

func newRetryBudget() *retryBudget {
	return &retryBudget{Budget: budget.Full(retryPrice, retryReserve)}
}

// Why calls are made once.
var (
	errNoBudget = errors.New("retries are a tenth of all calls already")
	errShedding = errors.New("load is being shed")
)

// GetToken implements the SDK's retry.RateLimiter.
func (b *retryBudget) GetToken(context.Context, uint) (func() error, error) {
	if shedding := b.shedding.Load(); shedding != nil && (*shedding)() {
		b.counts.held.Add(1)
		return nil, errShedding
	}
	if !b.Spend() {
		b.counts.overBudget.Add(1)
		return nil, errNoBudget
	}
	b.counts.made.Add(1)
	return func() error { return nil }, nil
}

// AddTokens implements the SDK's retry.RateLimiter. Calls are what earns.
func (b *retryBudget) AddTokens(uint) error { return nil }

// Retries are what became of calls of InvokeEndpoint that could be repeated.
type Retries struct {
	Made       int64
	OverBudget int64 // not repeated: the budget was spent
	Held       int64 // not repeated: load was being shed
}

// Retries tells how often it was what.
func (c *Clients) Retries() Retries {
	n := &c.runtime.budget.counts
	return Retries{Made: n.made.Load(), OverBudget: n.overBudget.Load(), Held: n.held.Load()}
}

// NoRetriesWhile stops the repeating of predictions' calls while shedding
// reports true: who turns callers away has no calls to spare.
func (c *Clients) NoRetriesWhile(shedding func() bool) { c.runtime.budget.shedding.Store(&shedding) }
