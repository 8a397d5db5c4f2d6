package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestHTTP2WithoutTLS asks as a proxy does that ends TLS and speaks HTTP/2 to
// the service behind it.
func TestHTTP2WithoutTLS(t *testing.T) {
	a := start(t, config(t))
	a.ready(t)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	opened := 0
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		opened++
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	client := &http.Client{Transport: transport}
	for range 3 {
		for _, ask := range []func() (*http.Response, error){
			func() (*http.Response, error) { return client.Get(a.url + "/readyz") },
			func() (*http.Response, error) {
				return client.Post(a.url+"/predict", "application/json", strings.NewReader(`{"customer_id": "10042"}`))
			},
		} {
			res, err := ask()
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || res.ProtoMajor != 2 || res.StatusCode != 200 {
				t.Errorf("got %s %s (%v): %s", res.Proto, res.Status, err, body)
			}
		}
	}
	if opened != 1 {
		t.Errorf("%d connections were opened, want one", opened)
	}
}
