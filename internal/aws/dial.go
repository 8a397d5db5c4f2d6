package aws

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
)

// dialer opens connections with the settings of the SDK's HTTP client: its time-outs, its
// root certificates (AWS_CA_BUNDLE) and its minimum version of TLS.
type dialer struct {
	transport *http.Transport
	sessions  tls.ClientSessionCache
}

func newDialer(t *http.Transport) *dialer {
	return &dialer{transport: t, sessions: tls.NewLRUClientSessionCache(0)}
}

func (d *dialer) proxy(r *http.Request) (*url.URL, error) {
	if d.transport.Proxy == nil {
		return nil, nil
	}
	return d.transport.Proxy(r)
}

func (d *dialer) dial(ctx context.Context, u *url.URL, secure bool) (net.Conn, error) {
	port := u.Port()
	if port == "" {
		port = "80"
		if secure {
			port = "443"
		}
	}
	address := net.JoinHostPort(u.Hostname(), port)
	if dial := d.transport.DialTLSContext; secure && dial != nil {
		return dial(ctx, "tcp", address)
	}
	conn, err := d.transport.DialContext(ctx, "tcp", address)
	if err != nil || !secure {
		return conn, err
	}
	cfg := d.transport.TLSClientConfig.Clone()
	if cfg == nil {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if cfg.ServerName == "" {
		cfg.ServerName = u.Hostname()
	}
	cfg.NextProtos = []string{"http/1.1"}
	if cfg.ClientSessionCache == nil {
		cfg.ClientSessionCache = d.sessions
	}
	shaking, cancel := ctx, func() {}
	if t := d.transport.TLSHandshakeTimeout; t > 0 {
		shaking, cancel = context.WithTimeoutCause(ctx, t, errSlowHandshake)
	}
	defer cancel()
	secured := tls.Client(conn, cfg)
	if err := secured.HandshakeContext(shaking); err != nil {
		_ = conn.Close()
		if ctx.Err() == nil && errors.Is(context.Cause(shaking), errSlowHandshake) {
			err = errSlowHandshake
		}
		return nil, err
	}
	return secured, nil
}

var errSlowHandshake = errors.New("the TLS handshake took too long")
