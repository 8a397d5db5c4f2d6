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

// kindOfCall is what calls have in common that share a form.
type kindOfCall struct{ endpoint, contentType, accept string }

// requestTemplate is the form of a kind of calls with some credentials. It never changes.
type requestTemplate struct {
	kindOfCall
	id, token string // of the credentials
	template  *wire.RequestTemplate
	pool      *wire.Pool
}

// maxTemplates bounds the forms that are kept: an endpoint has one, or two while
// models of two algorithms take turns.
const maxTemplates = 8

// forms are the forms in use, the newest first.
type templates struct {
	all   atomic.Pointer[[]*requestTemplate]
	mu    sync.Mutex
	pools map[string]*wire.Pool // by scheme and host
}

// form returns how a call is written and where it goes; nil where the SDK must
// make it.
func (i *invoker) template(ctx context.Context, in *invocation) (*wire.RequestTemplate, *wire.Pool) {
	if i.dialer == nil {
		i.noteFallback(errors.New("its HTTP client is given"))
		return nil, nil
	}
	if i.credentials == nil {
		i.noteFallback(errors.New("there are no credentials"))
		return nil, nil
	}
	c, err := i.credentials.Retrieve(ctx)
	if err != nil {
		return nil, nil // the SDK will say it better
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
		i.noteFallback(err) // until the credentials change
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

// noteFallback notes, once for each reason, that the SDK makes the calls.
func (i *invoker) noteFallback(why error) {
	if _, known := i.fallbackReasons.LoadOrStore(why.Error(), true); !known {
		i.log.Info("predictions call the endpoint with the AWS SDK's own client, which costs more", "reason", why)
	}
}

// knownHeaders are those of a call as the SDK makes it today. What they mean is
// known: which are the same for all calls, and which a form fills in.
var knownHeaders = []string{"Accept", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "Authorization", "Content-Length", "Content-Type",
	"User-Agent", "X-Amz-Date", "X-Amz-Security-Token", "X-Amzn-Sagemaker-Inference-Id"}

// errNotNow is a rehearsal that tells nothing: the SDK could not make a request.
var errNotNow = errors.New("no request to learn from")

// captureTemplate lets the SDK build and sign a call, which is not sent, and cuts the
// form of all like it from that. So the address, the headers and the scope of
// the signature are the SDK's, whatever settings they come from.
func (i *invoker) captureTemplate(ctx context.Context, in *invocation, c sdk.Credentials) (*wire.RequestTemplate, *wire.Pool, error) {
	body := []byte("0")
	model := *in
	model.body = body
	var captured capture
	// Without the caller's deadline, which the SDK may write into a header.
	_, err := i.runtime.InvokeEndpoint(context.WithoutCancel(ctx), model.input(), func(o *sagemakerruntime.Options) {
		o.HTTPClient = &captured
		o.Retryer = singleAttempt{o.Retryer}
	})
	signed := captured.request
	if signed == nil {
		return nil, nil, fmt.Errorf("%w: %w", errNotNow, err)
	}
	if proxy, err := i.dialer.proxy(signed); proxy != nil || err != nil {
		return nil, nil, fmt.Errorf("it is reached through a proxy")
	}
	if signed.URL.Scheme != "http" && signed.URL.Scheme != "https" {
		return nil, nil, fmt.Errorf("the scheme of its address is %q", signed.URL.Scheme)
	}
	for name := range signed.Header {
		if !slices.Contains(knownHeaders, name) {
			return nil, nil, fmt.Errorf("it is to be sent a header %s, which may differ from call to call", name)
		}
	}
	form, err := wire.NewTemplate(signed, body, c.SecretAccessKey)
	if err != nil {
		return nil, nil, err
	}
	return form, i.templates.poolOf(signed.URL, i.dialer), nil
}

// singleAttempt is a retryer that makes no second attempt, and says of the
// first what the other would: the maximum is in a header.
type singleAttempt struct{ sdk.Retryer }

// IsErrorRetryable implements aws.Retryer.
func (singleAttempt) IsErrorRetryable(error) bool { return false }

// capture is an HTTP client that sends nothing.
type capture struct{ request *http.Request }

// Do implements aws.HTTPClient.
func (c *capture) Do(r *http.Request) (*http.Response, error) {
	c.request = r.Clone(context.WithoutCancel(r.Context()))
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(nil)), Request: r}, nil
}

// Bounds of an answer: the service's own is 6 MiB.
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
