//go:build !linux

package main

import "net"

// takeQueued fetches nothing: only on Linux is it known how.
func takeQueued(*net.TCPListener) []net.Conn { return nil }

// handleLimit is how many files the process may have open; 0: not known.
func handleLimit() int64 { return 0 }
