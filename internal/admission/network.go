package admission

import (
	"net"
	"net/netip"
)

// Network returns the part of a client's address that identifies a caller: an IPv4
// address, or the /64 prefix of an IPv6 address, which providers assign to one
// customer. It takes addresses with and without a port.
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
