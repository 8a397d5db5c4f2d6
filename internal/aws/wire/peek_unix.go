//go:build unix

package wire

import (
	"crypto/tls"
	"net"
	"syscall"
)

// peeker reports whether a connection has something to read. It neither waits nor
// consumes bytes.
type peeker struct {
	raw   syscall.RawConn
	look  func(fd uintptr)
	found *bool
}

func newPeeker(conn net.Conn) peeker {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return peeker{}
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return peeker{}
	}
	found := new(bool)
	return peeker{raw: raw, found: found, look: func(fd uintptr) {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		// EAGAIN is the normal state of an idle connection. An end of file, a byte or
		// another error is something to read.
		*found = err != syscall.EAGAIN && err != syscall.EWOULDBLOCK && err != syscall.EINTR
	}}
}

func (p peeker) readable() bool {
	if p.raw == nil {
		return false
	}
	*p.found = true
	return p.raw.Control(p.look) != nil || *p.found
}
