//go:build !linux

package httpserver

import "net"

// takeQueued returns no connections: it is implemented on Linux only.
func takeQueued(*net.TCPListener) []net.Conn { return nil }

// descriptorLimit returns 0: the limit is read on Linux only.
func descriptorLimit() int64 { return 0 }
