package edge

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// clientAddress returns the IP address of the client that sent a request: the peer of
// the connection or, if the peer is a trusted proxy, the rightmost address of
// X-Forwarded-For that is not a trusted proxy. Addresses further left come from the
// client and are ignored.
func clientAddress(r *http.Request, trusted []netip.Prefix) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	if len(trusted) == 0 {
		return host
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	address = address.Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && contains(trusted, address); i-- {
		hop, ok := parseHop(hops[i])
		if !ok {
			break
		}
		address = hop
	}
	return address.WithZone("").String()
}

func contains(prefixes []netip.Prefix, address netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(address) {
			return true
		}
	}
	return false
}

// parseHop reads an element of X-Forwarded-For: an address, with or without a port.
func parseHop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if address, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return address.Unmap(), true
	}
	pair, err := netip.ParseAddrPort(text)
	return pair.Addr().Unmap(), err == nil
}
