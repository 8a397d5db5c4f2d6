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

// invoker calls InvokeEndpoint. It has a fast path for predictions.
//
// The client of the SDK costs 46 µs and 321 allocations for each call, and the one of
// net/http wakes two goroutines. That is more than the rest of the gateway. Nearly all
// calls differ in their rows alone, and nearly all succeed. So package wire makes the
// first attempt of a call, with a template of a request that the SDK has built and signed
// (template.go).
//
// If that attempt fails, with an error of the service, an incomplete answer or no
// connection, its result is replayed to the SDK as the result of the SDK's first attempt
// (replay.go). The SDK then interprets the error, corrects the clock and makes the further
// attempts, and the caller gets its error. So there is one interpretation of errors and one
// retry layer. Decision 0017.
type invoker struct {
	runtime     *sagemakerruntime.Client
	credentials sdk.CredentialsProvider // of runtime
	budget      *retryBudget
	log         *slog.Logger
	dialer      *dialer // nil: the SDK makes all calls

	skew            atomic.Int64 // nanoseconds that the clock of the service is ahead; 0 if less than minSkew
	templates       templates
	fallbackReasons sync.Map // reasons to use the SDK that have been logged

	foreign foreignAnswers
}

// Limits of idle connections to the runtime.
const (
	maxIdle  = 512
	idleTime = 5 * time.Minute
)

func newInvoker(cfg sdk.Config, log *slog.Logger) *invoker {
	i := &invoker{budget: newRetryBudget(), log: log}
	// Predictions have a pool of their own, so that the slow calls of a renewal use
	// none of its connections. The default of 10 idle connections would make a gateway
	// with more calls in flight open new ones continuously.
	connections := cfg.HTTPClient
	if connections == nil {
		connections = awshttp.NewBuildableClient()
	}
	if b, ok := connections.(*awshttp.BuildableClient); ok {
		b = b.WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, maxIdle
			t.IdleConnTimeout = idleTime
			t.ResponseHeaderTimeout = 0 // the deadline of the caller applies
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

// reply is the body of an answer. It is valid until release.
type reply struct {
	contentType []byte
	body        []byte
	conn        *wire.Conn // of the fast path; else nil
	call        *sdkCall   // of the SDK; else nil
}

// discard closes the connection, because the answer may belong to another call.
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

// requests is a pool of buffers for requests.
var requests = sync.Pool{New: func() any { return new([]byte) }}

// maxRequest is the capacity, in bytes, of the largest buffer that is kept in a pool.
const maxRequest = 256 << 10

// invoke makes a call, with as many attempts as the retry layer allows. It returns an
// error of the SDK or of the context.
func (i *invoker) invoke(ctx context.Context, in *invocation) (reply, error) {
	i.budget.Earn()
	template, pool := i.template(ctx, in)
	v := wire.Values{Time: time.Now().Add(time.Duration(i.skew.Load())), Invocation: newInvocationID(), Inference: in.id, Unsigned: traceFields(ctx)}
	if template == nil || !v.Fits() || len(in.body) == 0 {
		return i.full(ctx, in, v.Invocation, nil)
	}
	buffer := requests.Get().(*[]byte)
	*buffer = template.Append((*buffer)[:0], &v, in.body)
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
		// Compressed without being requested: the client of net/http decompresses.
		conn.Release()
		return i.full(ctx, in, v.Invocation, nil)
	case conn.Err == nil && conn.Status < http.StatusMultipleChoices:
		return reply{contentType: conn.ContentType, body: conn.Body, conn: conn}, nil
	}
	answer := conn.Answer // its body is not in a buffer that is used again
	conn.Release()
	return i.full(ctx, in, v.Invocation, &outcome{answer: &answer})
}

// full makes a call with the client of the SDK. first is the result of a first attempt
// that package wire has made; nil: none was made.
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

// input returns the call for the SDK. The body is a copy, because the HTTP client may still
// read it when the call has returned and the buffer has other rows.
func (in *invocation) input() *sagemakerruntime.InvokeEndpointInput {
	return &sagemakerruntime.InvokeEndpointInput{EndpointName: &in.endpoint, Body: bytes.Clone(in.body),
		ContentType: &in.contentType, Accept: &in.accept, InferenceId: &in.id}
}

// minSkew is the smallest difference of the clocks that is corrected. Signatures are valid
// for five minutes.
const minSkew = time.Minute

// learnSkew takes over the difference of the clocks that the SDK has measured.
func (i *invoker) learnSkew(m middleware.Metadata) {
	skew, ok := awsmiddleware.GetAttemptSkew(m)
	if !ok {
		return
	}
	if skew.Abs() < minSkew {
		skew = 0
	}
	if before := time.Duration(i.skew.Swap(int64(skew))); (before - skew).Abs() >= minSkew {
		i.log.Warn("the clock of this machine differs from the clock of SageMaker; requests are signed with SageMaker's time", "ahead", skew.Round(time.Second))
	}
}

// newInvocationID returns a UUID (version 4), in the format of the SDK's invocation ids.
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

// sameCall gives a call of the SDK the invocation id of the first attempt.
func sameCall(invocation string) func(*sagemakerruntime.Options) {
	name := middleware.BuildMiddlewareFunc("NameOfTheCall", func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
		if r, ok := in.Request.(*smithyhttp.Request); ok {
			r.Header.Set("Amz-Sdk-Invocation-Id", invocation)
		}
		return next.HandleBuild(ctx, in)
	})
	return sagemakerruntime.WithAPIOptions(func(s *middleware.Stack) error { return s.Build.Add(name, middleware.After) })
}
