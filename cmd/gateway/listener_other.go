//go:build !linux

package main

import "net"

// takeQueued fetches nothing: only on Linux is it known how.
func takeQueued(*net.TCPListener) []net.Conn { return nil }
