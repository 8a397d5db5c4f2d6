package api

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"gateway/internal/overload"
)

// chargedTo names who is charged for what a request holds while its caller takes
// its time: the API key, the operator's token, or else the network that the
// request comes from, as a trusted proxy tells it. The name is not for logs.
func (a *api) chargedTo(r *http.Request) string {
	e := eventOf(r.Context())
	switch {
	case e.apiKey != "":
		return "key " + e.apiKey
	case e.token != "":
		return "token " + e.token
	}
	return "network " + Network(a.d.SignIns.Address(r))
}

// Network is the part of a client's address that stands for one caller: an IPv4
// address, or the first 64 bits of an IPv6 address, which one customer of a
// provider has for itself. It takes addresses with and without a port.
func Network(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if address = address.Unmap().WithZone(""); address.Is4() {
		return address.String()
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return host
	}
	return prefix.String()
}

// tooMany words the refusal of a Budget: 429 where it is the caller's own share
// that is used up, 503 where it is everyone's together.
func tooMany(err error, what string) error {
	if errors.Is(err, overload.ErrShare) {
		return &refusal{reason: tooManyRequests, retryAfter: time.Second, err: err,
			detail: "this caller has as many " + what + " as one caller may have"}
	}
	return &refusal{reason: unavailable, retryAfter: time.Second, err: err,
		detail: "the service has as many " + what + " as it can take"}
}
