package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"

	"gateway/internal/aws/wire"
)

// kindOfCall identifies the calls that share a template.
type kindOfCall struct{ endpoint, contentType, accept string }

// requestTemplate is the template of a kind of call with certain credentials. It never
// changes.
type requestTemplate struct {
	kindOfCall
	id, token string // of the credentials
	template  *wire.RequestTemplate
	pool      *wire.Pool
}

// maxTemplates is the maximum number of templates. An endpoint needs one, or two while a
// model of one algorithm replaces a model of another.
const maxTemplates = 8

// templates are the templates in use, the newest first.
type templates struct {
	all   atomic.Pointer[[]*requestTemplate]
	mu    sync.Mutex
	pools map[string]*wire.Pool // by scheme and host
}

// template returns the template of a call and the pool of its host. It returns nil if the
// SDK must make the call.
func (i *invoker) template(ctx context.Context, in *invocation) (*wire.RequestTemplate, *wire.Pool) {
	if i.dialer == nil {
		i.noteFallback(errors.New("the SDK has a custom HTTP client"))
		return nil, nil
	}
	if i.credentials == nil {
		i.noteFallback(errors.New("no credentials are configured"))
		return nil, nil
	}
	c, err := i.credentials.Retrieve(ctx)
	if err != nil {
		return nil, nil // the call of the SDK returns the error
	}
	kind := kindOfCall{in.endpoint, in.contentType, in.accept}
	if all := i.templates.all.Load(); all != nil {
		for _, f := range *all {
			if f.kindOfCall == kind && f.id == c.AccessKeyID && f.token == c.SessionToken {
				return f.template, f.pool
			}
		}
	}
	f := &requestTemplate{kindOfCall: kind, id: c.AccessKeyID, token: c.SessionToken}
	if f.template, f.pool, err = i.captureTemplate(ctx, in, c); err != nil {
		if errors.Is(err, errNotNow) {
			return nil, nil
		}
		i.noteFallback(err) // f has no template, so it is not captured again until the credentials change
	}
	i.templates.add(f)
	return f.template, f.pool
}

func (f *templates) add(one *requestTemplate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := []*requestTemplate{one}
	if all := f.all.Load(); all != nil {
		for _, other := range *all {
			if other.kindOfCall != one.kindOfCall && len(kept) < maxTemplates {
				kept = append(kept, other)
			}
		}
	}
	f.all.Store(&kept)
}

// noteFallback logs, once for each reason, that the SDK makes the calls.
func (i *invoker) noteFallback(why error) {
	if _, known := i.fallbackReasons.LoadOrStore(why.Error(), true); !known {
		i.log.Info("cannot use the fast path for calls of the endpoint; predictions use the client of the AWS SDK, which is slower", "reason", why)
	}
}

// knownHeaders are the header fields that the SDK sends today. Each is either the same
// for all calls or filled in by a template. A call with any other field has no template.
var knownHeaders = []string{"Accept", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "Authorization", "Content-Length", "Content-Type",
	"User-Agent", "X-Amz-Date", "X-Amz-Security-Token", "X-Amzn-Sagemaker-Inference-Id"}

// errNotNow is returned if the SDK made no request that a template could be made from.
var errNotNow = errors.New("the SDK made no request")

// captureTemplate makes the SDK build and sign a call, which is not sent, and makes a
// template of that. So the address, the header and the scope of the signature follow the
// settings of the SDK.
func (i *invoker) captureTemplate(ctx context.Context, in *invocation, c sdk.Credentials) (*wire.RequestTemplate, *wire.Pool, error) {
	body := []byte("0")
	model := *in
	model.body = body
	var captured capture
	// Without the deadline of the caller, which the SDK may write into a header field.
	_, err := i.runtime.InvokeEndpoint(context.WithoutCancel(ctx), model.input(), func(o *sagemakerruntime.Options) {
		o.HTTPClient = &captured
		o.Retryer = singleAttempt{o.Retryer}
	})
	signed := captured.request
	if signed == nil {
		return nil, nil, fmt.Errorf("%w: %w", errNotNow, err)
	}
	if proxy, err := i.dialer.proxy(signed); proxy != nil || err != nil {
		return nil, nil, fmt.Errorf("the endpoint is reached through a proxy")
	}
	if signed.URL.Scheme != "http" && signed.URL.Scheme != "https" {
		return nil, nil, fmt.Errorf("the address of the endpoint has the scheme %q", signed.URL.Scheme)
	}
	for name := range signed.Header {
		if !slices.Contains(knownHeaders, name) {
			return nil, nil, fmt.Errorf("the SDK sends the header field %s, which may differ from call to call", name)
		}
	}
	template, err := wire.NewTemplate(signed, body, c.SecretAccessKey)
	if err != nil {
		return nil, nil, err
	}
	return template, i.templates.poolOf(signed.URL, i.dialer), nil
}

// singleAttempt is a retryer that makes one attempt. It keeps the maximum of the other
// retryer, which the SDK sends in a header field.
type singleAttempt struct{ sdk.Retryer }

// IsErrorRetryable implements aws.Retryer.
func (singleAttempt) IsErrorRetryable(error) bool { return false }

// capture is an HTTP client that records the request and does not send it.
type capture struct{ request *http.Request }

// Do implements aws.HTTPClient.
func (c *capture) Do(r *http.Request) (*http.Response, error) {
	c.request = r.Clone(context.WithoutCancel(r.Context()))
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(nil)), Request: r}, nil
}

// Maximum sizes of an answer, in bytes. The service sends at most 6 MiB.
const (
	maxAnswerHeader = 64 << 10
	maxAnswer       = 8 << 20
)

func (f *templates) poolOf(u *url.URL, d *dialer) *wire.Pool {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := u.Scheme + "://" + u.Host
	if f.pools[key] == nil {
		if f.pools == nil {
			f.pools = make(map[string]*wire.Pool)
		}
		address, secure := *u, u.Scheme == "https"
		f.pools[key] = wire.NewPool(wire.Options{
			Dial:    func(ctx context.Context) (net.Conn, error) { return d.dial(ctx, &address, secure) },
			MaxIdle: maxIdle, IdleTime: idleTime, MaxHeader: maxAnswerHeader, MaxBody: maxAnswer,
		})
	}
	return f.pools[key]
}
