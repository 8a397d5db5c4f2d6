package aws

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"gateway/internal/aws/wire"
)

// sdkClient is the HTTP client of calls that the SDK makes to the endpoint. It limits the
// size of answers. It also ensures that successive calls on a connection have answers that
// can be distinguished (rotation.go), because net/http takes any bytes that arrive on a
// connection as the answer to its present call.
type sdkClient struct{ sdk.HTTPClient }

// sdkCall is the state of a call of the SDK.
type sdkCall struct {
	mark    wire.Mark
	conn    net.Conn    // of the latest attempt; nil: unknown, or HTTP/2
	marked  *markedConn // below conn; nil: unknown
	refused bool        // conn was closed before the request was written
}

// discard closes the connection of a call, because the answer belongs to another call.
func (c *sdkCall) discard() {
	if c.marked != nil {
		c.marked.discarded.Store(true)
	}
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

type sdkCallKey struct{}

func withSDKCall(ctx context.Context, call *sdkCall) context.Context {
	return context.WithValue(ctx, sdkCallKey{}, call)
}

// Do implements the SDK's HTTPClient.
func (c sdkClient) Do(r *http.Request) (*http.Response, error) {
	answer, err := c.send(r)
	if err == nil {
		answer.Body = bounded(answer.Body, maxAnswer)
	}
	return answer, err
}

// send sends a request over the first connection that its mark allows.
func (c sdkClient) send(r *http.Request) (*http.Response, error) {
	call, ok := r.Context().Value(sdkCallKey{}).(*sdkCall)
	if !ok || r.Body == nil {
		return c.HTTPClient.Do(r)
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: call.gotConn}))
	for {
		call.refused = false
		r.Body = io.NopCloser(bytes.NewReader(text))
		if answer, err := c.HTTPClient.Do(r); err == nil || !call.refused {
			return answer, err
		}
	}
}

// gotConn checks the connection that net/http has chosen before it writes the request. It
// closes a connection that the mark does not allow.
func (c *sdkCall) gotConn(info httptrace.GotConnInfo) {
	c.conn, c.marked = info.Conn, nil
	inner := info.Conn
	if secured, ok := inner.(*tls.Conn); ok {
		if secured.ConnectionState().NegotiatedProtocol == "h2" {
			c.conn = nil // HTTP/2 assigns answers by stream ids
			return
		}
		inner = secured.NetConn()
	}
	marked, ok := inner.(*markedConn)
	if !ok {
		return
	}
	c.marked = marked
	if marked.discarded.Load() || !marked.marks.Allow(c.mark) {
		c.refused = true
		_ = info.Conn.Close()
		return
	}
	marked.marks.Add(c.mark)
}

// markedConn is a connection with the marks of its requests. net/http gives it to
// one request at a time.
type markedConn struct {
	net.Conn
	marks     wire.Marks
	discarded atomic.Bool // closed; net/http may not have noticed yet
}

// markConnections makes a transport record the marks of its connections.
func markConnections(t *http.Transport) {
	dial := t.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &markedConn{Conn: conn}, nil
	}
}
