package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"gateway/api/edge"
)

// handler handles events. gateway and err are set when opened is closed.
type handler struct {
	starting http.Handler
	opened   chan struct{}
	gateway  Gateway
	err      error
}

// event has what tells the kinds of events apart, and the members of a request.
type event struct {
	events.APIGatewayV2HTTPRequest
	DetailType string `json:"detail-type"`
	HTTPMethod string `json:"httpMethod"` // of payload format 1.0
}

const scheduled = "Scheduled Event"

// Invoke implements lambda.Handler. An error fails the invocation.
func (h *handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel := withTimeToAnswer(ctx)
	defer cancel()
	var e event
	err := json.Unmarshal(payload, &e)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the event is not a JSON object of a known form: %w", err)
	case e.RequestContext.HTTP.Method != "":
		return h.request(ctx, &e.APIGatewayV2HTTPRequest)
	case e.DetailType == scheduled:
		return h.work(ctx)
	case e.HTTPMethod != "":
		return nil, errors.New("the event is a request in payload format 1.0; set the integration's payload format to 2.0")
	}
	return nil, errors.New(`the event is neither a request in payload format 2.0 nor one with "detail-type": "Scheduled Event"`)
}

// answerTime is the end of an invocation that is kept to write the answer: at the deadline
// itself Lambda ends the process.
const answerTime = 500 * time.Millisecond

func withTimeToAnswer(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline.Add(-min(answerTime, time.Until(deadline)/4)))
}

// work does what is due. An event that comes while the start waits, say for the database, does
// nothing: the next one will.
func (h *handler) work(ctx context.Context) ([]byte, error) {
	select {
	case <-h.opened:
	case <-ctx.Done():
		return nil, errors.New("the gateway is still starting")
	}
	if h.err != nil {
		return nil, h.err
	}
	if err := h.gateway.Work(ctx); err != nil && ctx.Err() == nil {
		return nil, err
	}
	return []byte(`{"status": "ok"}`), nil
}

// request gives a request to the gateway and returns its answer.
func (h *handler) request(ctx context.Context, e *events.APIGatewayV2HTTPRequest) ([]byte, error) {
	r, err := toRequest(ctx, e)
	if err != nil {
		return nil, err
	}
	a := newAnswer()
	h.present(ctx).ServeHTTP(a, r)
	text, err := a.event(r.Method)
	if err != nil || len(text) <= maxAnswer && !a.cut {
		return text, err
	}
	a = newAnswer()
	edge.Fail(a, edge.Identified(r), &edge.Refusal{Reason: edge.TooLarge,
		Detail: fmt.Sprintf("the response would have more than the %d bytes that Lambda allows; ask for fewer rows", maxAnswer)})
	return a.event(r.Method)
}

// present returns the gateway, or what answers while it is not open at the request's deadline.
func (h *handler) present(ctx context.Context) http.Handler {
	select {
	case <-h.opened:
	case <-ctx.Done():
	}
	select {
	case <-h.opened:
		if h.err == nil {
			return h.gateway
		}
	default:
	}
	return h.starting
}

// toRequest makes the request of an event. An error is one of the event, not of the caller.
func toRequest(ctx context.Context, e *events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, fmt.Errorf("the event's body is not base64: %w", err)
		}
	}
	path, err := url.PathUnescape(e.RawPath)
	if err != nil {
		return nil, fmt.Errorf("the event's rawPath: %w", err)
	}
	from := e.RequestContext.HTTP
	r := &http.Request{
		Method: from.Method, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL:    &url.URL{Path: path, RawPath: e.RawPath, RawQuery: e.RawQueryString},
		Header: make(http.Header, len(e.Headers)+1), Host: e.RequestContext.DomainName,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		RemoteAddr: net.JoinHostPort(from.SourceIP, "0"),
	}
	r.RequestURI = r.URL.RequestURI()
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
		r.Header.Del("Host")
	}
	if len(e.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	return r.WithContext(ctx), nil
}
