package aws

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"gateway/internal/aws/wire"
)

// invoker calls InvokeEndpoint: the fast path of a prediction.
//
// The SDK's client costs 46 µs and 321 allocations a call, and net/http's wakes
// two goroutines for it. That is more than all the rest of the gateway. But
// nearly all calls are the same call, and nearly all go well. So the first
// attempt of a call is made by package wire, with a request cut from one that
// the SDK built and signed (template.go). If it succeeds, that was all.
//
// Whatever else comes of it, an error of the service, half an answer, no
// connection, is given to the SDK as the outcome of its own first attempt
// (replay.go). The SDK reads it, decides about another attempt, corrects the
// clock, makes that attempt by itself, and its errors are what the caller gets.
// So there is one reading of errors and one retry layer, and this path knows
// nothing but success. Decision 0017.
type invoker struct {
	runtime     *sagemakerruntime.Client
	credentials sdk.CredentialsProvider // of runtime
	budget      *retryBudget
	log         *slog.Logger
	dialer      *dialer // nil: the SDK makes all calls

	skew            atomic.Int64 // nanoseconds that the service's clock is ahead, where it matters
	templates       templates
	fallbackReasons sync.Map // reasons to use the SDK that have been logged

	foreign foreignAnswers
}

// Connections to the runtime.
const (
	maxIdle  = 512
	idleTime = 5 * time.Minute
)

func newInvoker(cfg sdk.Config, log *slog.Logger) *invoker {
	i := &invoker{budget: newRetryBudget(), log: log}
	// A pool of its own: a renewal, whose calls are slow, takes no connection
	// from predictions. By default ten are kept, and a gateway with more calls
	// in flight would open new ones all the time.
	connections := cfg.HTTPClient
	if connections == nil {
		connections = awshttp.NewBuildableClient()
	}
	if b, ok := connections.(*awshttp.BuildableClient); ok {
		b = b.WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, maxIdle
			t.IdleConnTimeout = idleTime
			t.ResponseHeaderTimeout = 0 // the caller's deadline
			t.MaxResponseHeaderBytes = maxAnswerHeader
		})
		i.dialer = newDialer(b.GetTransport())
		connections = b.WithTransportOptions(markConnections)
	}
	client := sagemakerruntime.NewFromConfig(cfg, func(o *sagemakerruntime.Options) {
		o.HTTPClient = tracedClient{sdkClient{connections}}
		o.Retryer = invokeRetryer(i.budget)
	})
	i.runtime, i.credentials = client, client.Options().Credentials
	return i
}

// invocation is a call of an endpoint.
type invocation struct {
	endpoint, contentType, accept string
	id                            string // inference id
	body                          []byte
	mark                          wire.Mark
}

// reply is the body of an answer; its memory is in use until release.
type reply struct {
	contentType []byte
	body        []byte
	conn        *wire.Conn // nil: it came through the SDK
	call        *sdkCall   // nil: it did not
}

// discard gives up the connection, of which the answer is not the call's.
func (r *reply) discard() {
	if r.conn != nil {
		r.conn.Discard()
	}
	if r.call != nil {
		r.call.discard()
	}
}

func (r *reply) release() {
	if r.conn != nil {
		r.conn.Release()
	}
}

// requests are buffers of requests.
var requests = sync.Pool{New: func() any { return new([]byte) }}

// maxRequest is the largest buffer that is kept.
const maxRequest = 256 << 10

// invoke makes a call, with attempts as the retry layer allows. Its errors are
// the SDK's, or the context's.
func (i *invoker) invoke(ctx context.Context, in *invocation) (reply, error) {
	i.budget.Earn()
	form, pool := i.template(ctx, in)
	v := wire.Values{Time: time.Now().Add(time.Duration(i.skew.Load())), Invocation: newInvocationID(), Inference: in.id, Unsigned: traceFields(ctx)}
	if form == nil || !v.Fits() || len(in.body) == 0 {
		return i.full(ctx, in, v.Invocation, nil)
	}
	buffer := requests.Get().(*[]byte)
	*buffer = form.Append((*buffer)[:0], &v, in.body)
	conn, err := pool.Do(ctx, *buffer, in.mark)
	if cap(*buffer) <= maxRequest {
		requests.Put(buffer)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return reply{}, err
	case err != nil:
		return i.full(ctx, in, v.Invocation, &outcome{err: err})
	case conn.Header.Get("Content-Encoding") != "":
		// Packed without being asked: net/http's client unpacks.
		conn.Release()
		return i.full(ctx, in, v.Invocation, nil)
	case conn.Err == nil && conn.Status < http.StatusMultipleChoices:
		return reply{contentType: conn.ContentType, body: conn.Body, conn: conn}, nil
	}
	answer := conn.Answer // which does not lie in the connection's buffer, or that is not used again
	conn.Release()
	return i.full(ctx, in, v.Invocation, &outcome{answer: &answer})
}

// full makes a call with the SDK's client. A first attempt that was made
// already is not made again.
func (i *invoker) full(ctx context.Context, in *invocation, invocation string, first *outcome) (reply, error) {
	call := &sdkCall{mark: in.mark}
	out, err := i.runtime.InvokeEndpoint(withSDKCall(ctx, call), in.input(), sameCall(invocation), func(o *sagemakerruntime.Options) {
		if first != nil {
			first.next, o.HTTPClient = o.HTTPClient, first
		}
	})
	if err != nil {
		return reply{}, err
	}
	i.learnSkew(out.ResultMetadata)
	return reply{contentType: []byte(sdk.ToString(out.ContentType)), body: out.Body, call: call}, nil
}

// input is the call as the SDK takes it. Its HTTP client may still read the body
// when the call has returned, so the body is a copy: the buffer it was in will
// hold other rows.
func (in *invocation) input() *sagemakerruntime.InvokeEndpointInput {
	return &sagemakerruntime.InvokeEndpointInput{EndpointName: &in.endpoint, Body: bytes.Clone(in.body),
		ContentType: &in.contentType, Accept: &in.accept, InferenceId: &in.id}
}

// minSkew is how far clocks must be apart for it to matter: signatures are
// good for five minutes.
const minSkew = time.Minute

// learnSkew takes over what the SDK has found out about the service's clock.
func (i *invoker) learnSkew(m middleware.Metadata) {
	skew, ok := awsmiddleware.GetAttemptSkew(m)
	if !ok {
		return
	}
	if skew.Abs() < minSkew {
		skew = 0
	}
	if before := time.Duration(i.skew.Swap(int64(skew))); (before - skew).Abs() >= minSkew {
		i.log.Warn("requests are signed for the time of the service's clock", "ahead", skew.Round(time.Second))
	}
}

// newInvocationID makes a UUID (version 4), as the SDK names its calls.
func newInvocationID() string {
	var id [16]byte
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	text := make([]byte, 0, 36)
	for i, part := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, part)
	}
	return string(text)
}

// sameCall gives the SDK's call a name that was used already.
func sameCall(invocation string) func(*sagemakerruntime.Options) {
	name := middleware.BuildMiddlewareFunc("NameOfTheCall", func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
		if r, ok := in.Request.(*smithyhttp.Request); ok {
			r.Header.Set("Amz-Sdk-Invocation-Id", invocation)
		}
		return next.HandleBuild(ctx, in)
	})
	return sagemakerruntime.WithAPIOptions(func(s *middleware.Stack) error { return s.Build.Add(name, middleware.After) })
}
