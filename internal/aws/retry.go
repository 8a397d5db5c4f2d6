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

// Limits of the retries of a prediction.
const (
	invokeAttempts  = 3
	firstInvokeWait = 25 * time.Millisecond
)

// predictionRetryer is the only retry layer of predictions: the standard one of the SDK
// with shorter waits, the deadline of the caller and a budget.
type predictionRetryer struct{ *retry.Standard }

func invokeRetryer(budget *retryBudget) sdk.Retryer {
	return predictionRetryer{retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = invokeAttempts
		o.RateLimiter = budget
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, err error) (time.Duration, error) {
			most := firstInvokeWait << min(attempt, 4)
			return max(most/2+rand.N(most/2+1), retryAfter(err)), nil
		})
		// After the rules of the SDK, which do not retry a cancelled call.
		o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(retryInvocation))
	})}
}

// errTooLate is why a call is not retried that would end after the caller's deadline.
var errTooLate = errors.New("no time for another attempt before the deadline")

// GetRetryToken implements aws.Retryer. It refuses an attempt that could not start before
// the deadline, so that the caller gets the error of the last attempt.
func (r predictionRetryer) GetRetryToken(ctx context.Context, err error) (func(error) error, error) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < max(firstInvokeWait, retryAfter(err)) {
		return nil, errTooLate
	}
	return r.Standard.GetRetryToken(ctx, err)
}

// retryInvocation adds errors to those that the SDK retries. A call of a model can always
// be repeated, because it has no side effects.
func retryInvocation(err error) sdk.Ternary {
	var model *runtimetypes.ModelError
	var api smithy.APIError
	switch {
	case errors.As(err, &model):
		// The container failed. With status 0 it did not answer in time: it is
		// overloaded or the call has too many rows, and a retry would add load.
		return sdk.BoolTernary(originalStatus(model) >= http.StatusInternalServerError)
	case errors.As(err, &api):
		switch api.ErrorCode() {
		case "ModelNotReadyException", "InternalDependencyException":
			return sdk.TrueTernary
		}
		if isThrottle(err) {
			return sdk.TrueTernary
		}
	case errors.Is(err, io.ErrUnexpectedEOF): // the answer is incomplete
		return sdk.TrueTernary
	}
	return sdk.UnknownTernary
}

// maxRetryAfter is the maximum of a Retry-After header.
const maxRetryAfter = time.Minute

// retryAfter returns the wait of the Retry-After header in an error, or zero.
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

// Reasons not to retry a call.
var (
	errNoBudget = errors.New("the retry budget is spent: retries are a tenth of all calls")
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

// AddTokens implements the SDK's retry.RateLimiter. It does nothing: invoke calls Earn.
func (b *retryBudget) AddTokens(uint) error { return nil }

// Retries counts calls of InvokeEndpoint that failed and could be retried, since the start.
type Retries struct {
	Made       int64 // retried
	OverBudget int64 // not retried: the budget was spent
	Held       int64 // not retried: load was being shed
}

// Retries returns the counts of retries.
func (c *Clients) Retries() Retries {
	n := &c.runtime.budget.counts
	return Retries{Made: n.made.Load(), OverBudget: n.overBudget.Load(), Held: n.held.Load()}
}

// NoRetriesWhile stops retries of predictions while shedding reports true. A gateway that
// refuses requests must not add calls.
func (c *Clients) NoRetriesWhile(shedding func() bool) { c.runtime.budget.shedding.Store(&shedding) }
